//! The calls by number, and those on descriptors.

use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;

use super::files::{Files, errno};
use super::wire::{DATA_LEN, PATH_LEN, Request, Shape, data, int, long};
use super::{flags, stdio, tree};
use crate::sys;

/// What a call does; the fields of its answer.
pub(super) type Run = fn(&mut Files, &Request<'_>) -> nix::Result<Vec<u8>>;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    id: u32,
    pub(super) shape: Shape,
    pub(super) run: Run,
}

impl Call {
    /// The number in the answer. Upstream answers `unlink` with 7, and peers are built for that.
    pub(super) fn reply_id(&self) -> u32 {
        if self.id == UNLINK { UNLINK - 1 } else { self.id }
    }
}

const UNLINK: u32 = 8;
/// Calls that only print, without an answer.
const FPRINTF: u64 = 18;
const CLEARERR: u64 = 24;
const PRINTF: u64 = 300;
/// Numbers of the calls that reach the network, all refused.
const NETWORK: [std::ops::RangeInclusive<u32>; 4] = [100..=103, 105..=105, 107..=108, 110..=121];
/// Most descriptors that `poll` is asked about.
const POLLED: usize = 32;

const fn call(id: u32, shape: Shape, run: Run) -> Call {
    Call { id, shape, run }
}

/// Every call that has an answer, but those of the network.
const CALLS: &[Call] = &[
    call(1, Shape::Int, open),
    call(2, Shape::Int, close),
    call(3, Shape::Long, write),
    call(4, Shape::Long, read),
    call(5, Shape::Long, lseek),
    call(6, Shape::Int, control),
    call(7, Shape::Sized, no_device),
    call(UNLINK, Shape::Int, tree::unlink),
    call(9, Shape::Entries, entries),
    call(10, Shape::Handle, stdio::fopen),
    call(11, Shape::Int, stdio::fclose),
    call(12, Shape::Long, stdio::fread),
    call(13, Shape::Long, stdio::fwrite),
    call(14, Shape::Handle, stdio::freopen),
    call(15, Shape::Int, stdio::fputs),
    call(16, Shape::Text, stdio::fgets),
    call(17, Shape::Int, stdio::feof),
    call(19, Shape::Int, stdio::ferror),
    call(20, Shape::Int, stdio::getc),
    call(21, Shape::Int, stdio::getc),
    call(22, Shape::Int, refused),
    call(23, Shape::Handle, stdio::tmpfile),
    call(25, Shape::Handle, refused),
    call(26, Shape::Int, stdio::ungetc),
    call(27, Shape::Int, stdio::fseek),
    call(28, Shape::Long, stdio::ftell),
    call(29, Shape::Int, tree::rename),
    call(30, Shape::Int, tree::remove),
    call(31, Shape::Int, tree::mkstemp),
    call(32, Shape::Int, stdio::fseek),
    call(33, Shape::Long, stdio::ftell),
    call(34, Shape::Int, stdio::fflush),
    call(35, Shape::Int, stdio::getwc),
    call(36, Shape::Int, stdio::putwc),
    call(37, Shape::Int, stdio::putc),
    call(38, Shape::Int, stdio::ungetwc),
    call(39, Shape::Stat, tree::stat),
    call(40, Shape::Text, tree::getcwd),
    call(41, Shape::Stat, tree::lstat),
    call(42, Shape::Stat, tree::fstat),
    call(45, Shape::Handle, stdio::fdopen),
    call(46, Shape::Int, stdio::fileno),
    call(47, Shape::Long, tree::readlink),
    call(48, Shape::Int, refused),
    call(49, Shape::Int, tree::access),
    call(50, Shape::Pair, pipe),
    call(51, Shape::Int, dup2),
    call(52, Shape::Int, refused),
    call(53, Shape::Int, tree::chmod),
    call(54, Shape::Int, tree::chdir),
    call(55, Shape::Int, tree::mkdir),
    call(56, Shape::Int, tree::rmdir),
    call(57, Shape::Long, stdio::scan_hex),
    call(104, Shape::Int, poll),
    call(106, Shape::Sized, host_name),
    call(122, Shape::Int, putchar),
];

/// The call of that number, if it exists and has an answer.
pub(super) fn find(id: u64) -> Option<Call> {
    let id = u32::try_from(id).ok()?;
    let known = CALLS.binary_search_by_key(&id, |call| call.id).ok().and_then(|at| CALLS.get(at)).copied();
    known.or_else(|| NETWORK.iter().any(|range| range.contains(&id)).then_some(call(id, Shape::Int, refused)))
}

/// The call of that number, if it has no answer: it gives what is to be printed.
pub(super) fn print(id: u64) -> Option<Run> {
    match id {
        FPRINTF => Some(stdio::fprintf),
        CLEARERR => Some(stdio::clearerr),
        PRINTF => Some(stdio::printf),
        _ => None,
    }
}

/// What would reach the network or start a program on Linux.
fn refused(_: &mut Files, _: &Request<'_>) -> nix::Result<Vec<u8>> {
    Err(Errno::EPERM)
}

/// No file is a device.
fn no_device(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    files.get(request.i32(12)?).and(Err(Errno::ENOTTY))
}

fn open(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let (flags, mode) = (flags::from_wire(request.i32(12)?)?, request.u32(16)?);
    let file = files.root.open_file(request.text(20, PATH_LEN)?, flags, mode)?;
    files.add(file).map(int)
}

fn close(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    files.close(request.i32(12)?).map(|()| int(0))
}

fn write(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let count = request.u32(16)? as usize;
    let written = files.write(request.i32(12)?, request.data(20, count)?)?;
    Ok(long(written as i64))
}

fn read(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    // A shorter answer than was asked for is within POSIX; a longer one is not within a message.
    let count = (request.u32(16)? as usize).min(DATA_LEN);
    let bytes = files.read(request.i32(12)?, count)?;
    Ok(data(bytes.len(), &bytes))
}

fn lseek(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let to = from(request.i64(16)?, request.i32(24)?)?;
    let mut file = files.get(request.i32(12)?)?;
    let at = file.seek(to).map_err(|error| errno(&error))?;
    Ok(long(i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?))
}

/// `SEEK_SET`, `SEEK_CUR`, `SEEK_END`.
pub(super) fn from(offset: i64, whence: i32) -> nix::Result<std::io::SeekFrom> {
    match whence {
        0 => u64::try_from(offset).map(std::io::SeekFrom::Start).map_err(|_| Errno::EINVAL),
        1 => Ok(std::io::SeekFrom::Current(offset)),
        2 => Ok(std::io::SeekFrom::End(offset)),
        _ => Err(Errno::EINVAL),
    }
}

/// `fcntl`: flags are told, nothing is changed, as there is no program that could be started with a descriptor.
fn control(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let file = files.get(request.i32(12)?)?;
    match request.i32(16)? {
        libc::F_GETFD | libc::F_SETFD => Ok(int(0)),
        libc::F_GETFL => Ok(int(flags::to_wire(OFlag::from_bits_truncate(fcntl(file, FcntlArg::F_GETFL)?)))),
        _ => Err(Errno::EINVAL),
    }
}

/// `getdents64` from a position; the entries as Linux has them.
fn entries(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let count = (request.u32(12)? as usize).min(DATA_LEN);
    let mut directory = files.get(request.i32(24)?)?;
    directory.seek(from(request.i64(16)?, 0)?).map_err(|error| errno(&error))?;
    let bytes = sys::directory_entries(directory.as_fd(), count).map_err(|error| errno(&error))?;
    let position = directory.stream_position().map_err(|error| errno(&error))? as i64;
    let len = int(bytes.len() as i32);
    Ok([&position.to_le_bytes()[..], &len, &bytes].concat())
}

fn pipe(files: &mut Files, _: &Request<'_>) -> nix::Result<Vec<u8>> {
    // Reading an empty one must not wait: nobody else could fill it.
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let reader = files.add(reader.into())?;
    let writer = files.add(writer.into()).or_else(|errno| files.close(reader).and(Err(errno)))?;
    Ok([&long(0)[..], &int(reader), &int(writer)].concat())
}

fn dup2(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let (old, new) = (request.i32(12)?, request.i32(16)?);
    let copy: File = files.get(old)?.try_clone().map_err(|error| errno(&error))?;
    if old != new {
        files.put(new, copy)?;
    }
    Ok(int(new))
}

/// `poll`: plain files are always ready, so it never waits.
fn poll(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let count = request.count(272)?;
    if count > POLLED {
        return Err(Errno::EINVAL);
    }
    let ready = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut answer = vec![0; POLLED * 8];
    let mut found = 0;
    for (index, entry) in answer.chunks_exact_mut(8).take(count).enumerate() {
        let fd = request.i32(16 + index * 8)?;
        let wanted = PollFlags::from_bits_truncate(request.u32(20 + index * 8)? as i16);
        let is = if fd < 3 || files.get(fd).is_ok() { wanted & ready } else { PollFlags::POLLNVAL };
        found += i32::from(!is.is_empty());
        entry.copy_from_slice(
            &[&fd.to_le_bytes()[..], &wanted.bits().to_le_bytes(), &is.bits().to_le_bytes()].concat(),
        );
    }
    Ok([&int(found)[..], &answer].concat())
}

fn host_name(_: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let room = request.count(16)?.min(DATA_LEN);
    let name = nix::unistd::gethostname()?;
    let mut name = name.into_encoded_bytes();
    name.push(0);
    if name.len() > room {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok([&int(0)[..], &int(name.len() as i32), &name].concat())
}

fn putchar(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let byte = request.u32(12)? as u8;
    files.print(&[byte]);
    Ok(int(byte.into()))
}

/// A name that nobody guesses and that is not there yet: what `mkstemp` puts in the place of `XXXXXX`.
pub(super) fn random_name(attempt: u32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seed = now.as_nanos() as u64 ^ u64::from(attempt).rotate_left(32) ^ u64::from(std::process::id());
    let letter = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // 36 digits of Rust's, and the cast keeps a number below 36.
        char::from_digit((seed >> 33) as u32 % 36, 36).unwrap_or('0')
    };
    (0..6).map(letter).collect()
}
