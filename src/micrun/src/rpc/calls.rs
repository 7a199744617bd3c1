//! The calls by number, and those on descriptors.

use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::files::{Files, errno};
use super::wire::{DATA_LEN, PATH_LEN, Request, Shape, data, int, long};
use super::{flags, names, sockets, stdio, tree};
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
/// Frees the answer of `getaddrinfo`, of which nothing is kept.
const FREEADDRINFO: u64 = 100;
/// Most descriptors that `poll` is asked about.
const POLLED: usize = 32;
/// Linux's number, and the flag that stands for the same.
const FIONBIO: u64 = 0x5421;
const NONBLOCK: i32 = 0o4000;
/// Descriptors of one set of `select`, in bytes and in what there can be of them.
const SET_LEN: usize = 128;
const SELECTED: usize = 128;
/// Bytes of one part of `writev`, and of its data.
const PART_LEN: usize = 72;
const PART_DATA_LEN: u64 = 60;

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
    call(7, Shape::Sized, device_control),
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
    call(109, Shape::Selected, select),
    call(122, Shape::Int, putchar),
    call(123, Shape::Text, names::gai_strerror),
    call(125, Shape::Long, writev),
];

/// Those of the network.
const NETWORK: &[Call] = &[
    call(101, Shape::Info, names::getaddrinfo),
    call(102, Shape::Host, names::gethostbyaddr),
    call(103, Shape::Host, names::gethostbyname),
    call(105, Shape::Address, sockets::getpeername),
    call(107, Shape::Address, sockets::getsockname),
    call(108, Shape::Address, sockets::getsockopt),
    call(110, Shape::Accepted, sockets::accept),
    call(111, Shape::Int, sockets::bind),
    call(112, Shape::Int, sockets::connect),
    call(113, Shape::Int, sockets::listen),
    call(114, Shape::Long, sockets::recv),
    call(115, Shape::From, sockets::recvfrom),
    call(116, Shape::Long, sockets::send),
    call(117, Shape::Long, sockets::sendto),
    call(118, Shape::Int, sockets::setsockopt),
    call(119, Shape::Int, sockets::shutdown),
    call(120, Shape::Int, sockets::socket),
    call(124, Shape::Accepted, sockets::accept4),
];

/// The call of that number, if it exists and has an answer. Without a network its calls are refused.
pub(super) fn find(id: u64, network: bool) -> Option<Call> {
    let id = u32::try_from(id).ok()?;
    let found = |calls: &'static [Call]| {
        calls.binary_search_by_key(&id, |call| call.id).ok().and_then(|at| calls.get(at)).copied()
    };
    let run = |call: Call| if network { call } else { Call { run: refused, ..call } };
    found(CALLS).or_else(|| found(NETWORK).map(run))
}

/// The call of that number, if it has no answer: it gives what is to be printed.
pub(super) fn print(id: u64) -> Option<Run> {
    match id {
        FPRINTF => Some(stdio::fprintf),
        CLEARERR => Some(stdio::clearerr),
        PRINTF => Some(stdio::printf),
        FREEADDRINFO => Some(|_, _| Ok(Vec::new())),
        _ => None,
    }
}

/// What would reach the network or start a program on Linux.
fn refused(_: &mut Files, _: &Request<'_>) -> nix::Result<Vec<u8>> {
    Err(Errno::EPERM)
}

/// `ioctl`: no file is a device. Of a socket it can be said whether calls on it wait.
fn device_control(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let fd = request.i32(12)?;
    files.get(fd)?;
    match request.u64(16)? {
        FIONBIO if files.socket(fd).is_ok() => {
            files.set_blocking(fd, request.i32(32)? == 0)?;
            Ok([&int(0)[..], &[0; 4], &long(0)].concat())
        }
        _ => Err(Errno::ENOTTY),
    }
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

/// `fcntl`: flags are told, but of a socket nothing is changed, as there is no program that could be started with a
/// descriptor.
fn control(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let fd = request.i32(12)?;
    let file = files.get(fd)?;
    match request.i32(16)? {
        libc::F_GETFD | libc::F_SETFD => Ok(int(0)),
        libc::F_GETFL => {
            let flags = flags::to_wire(OFlag::from_bits_truncate(fcntl(file, FcntlArg::F_GETFL)?));
            let waits = files.socket(fd).is_ok_and(|socket| socket.blocking);
            Ok(int(if waits { flags & !NONBLOCK } else { flags }))
        }
        libc::F_SETFL if files.socket(fd).is_ok() => {
            files.set_blocking(fd, request.i64(24)? & i64::from(NONBLOCK) == 0).map(|()| int(0))
        }
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
        let socket = files.socket(old);
        files.put(new, copy)?;
        if let Ok(socket) = socket {
            files.set_socket(new, socket);
        }
    }
    Ok(int(new))
}

/// `poll`. The console's descriptors are always ready, as plain files are.
fn poll(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let count = request.count(272)?;
    if count > POLLED {
        return Err(Errno::EINVAL);
    }
    let wanted = |index: usize| -> nix::Result<(i32, PollFlags)> {
        let events = PollFlags::from_bits_truncate(request.u32(20 + index * 8)? as i16);
        Ok((request.i32(16 + index * 8)?, events))
    };
    let wanted: Vec<(i32, PollFlags)> = (0..count).map(wanted).collect::<nix::Result<_>>()?;
    let ready = ready(files, &wanted)?;
    let found = ready.iter().filter(|is| !is.is_empty()).count();
    let timeout = request.i32(12)?;
    if found == 0 && timeout != 0 && files.patient {
        let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
        return Err(files.wait_for(wanted, timeout));
    }
    let mut answer = int(found as i32);
    for ((fd, events), is) in wanted.iter().zip(ready) {
        answer
            .extend([&fd.to_le_bytes()[..], &events.bits().to_le_bytes(), &is.bits().to_le_bytes()].concat());
    }
    answer.resize(4 + POLLED * 8, 0);
    Ok(answer)
}

/// What each descriptor is ready for now, of what is wanted.
fn ready(files: &Files, wanted: &[(i32, PollFlags)]) -> nix::Result<Vec<PollFlags>> {
    let one = |(fd, events): &(i32, PollFlags)| match files.get(*fd) {
        Ok(file) => {
            let mut polled = [PollFd::new(file.as_fd(), *events)];
            nix::poll::poll(&mut polled, PollTimeout::ZERO)?;
            Ok(polled[0].revents().unwrap_or(PollFlags::empty()))
        }
        Err(_) if *fd < 0 => Ok(PollFlags::empty()),
        Err(_) if *fd < 3 => Ok(*events & (PollFlags::POLLIN | PollFlags::POLLOUT)),
        Err(_) => Ok(PollFlags::POLLNVAL),
    };
    wanted.iter().map(one).collect()
}

/// `select`: three sets, each of which may be absent, and a time, which may be too.
fn select(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    const SETS: [(usize, PollFlags); 3] =
        [(16, PollFlags::POLLIN), (144, PollFlags::POLLOUT), (272, PollFlags::POLLPRI)];
    let present = |index: usize| request.bytes(416 + index, 1).map(|flag| flag != [0]);
    let count = usize::try_from(request.i32(12)?).map_err(|_| Errno::EINVAL)?.min(SELECTED);
    let (mut wanted, mut places) = (Vec::new(), Vec::new());
    for (index, (at, events)) in SETS.iter().enumerate() {
        let set = request.bytes(*at, SET_LEN)?;
        for fd in (0..count).filter(|fd| set[fd / 8] & 1 << (fd % 8) != 0) {
            if present(index)? {
                wanted.push((fd as i32, *events));
                places.push(index * SET_LEN * 8 + fd);
            }
        }
    }
    let ready = ready(files, &wanted)?;
    if ready.iter().any(|is| is.contains(PollFlags::POLLNVAL)) {
        return Err(Errno::EBADF);
    }
    // An end and an error can be read, and an error written.
    let is = |index: usize| {
        let (events, is) = (wanted[index].1, ready[index]);
        let ended = is.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) && events == PollFlags::POLLIN;
        is.intersects(events) || ended || is.contains(PollFlags::POLLERR) && events == PollFlags::POLLOUT
    };
    let time = present(3)?.then(|| Ok::<_, Errno>((request.i64(400)?, request.i64(408)?))).transpose()?;
    let found: Vec<usize> = (0..wanted.len()).filter(|index| is(*index)).map(|index| places[index]).collect();
    if found.is_empty() && time != Some((0, 0)) && files.patient {
        let timeout = time.map(|(seconds, micros)| {
            let whole = u64::try_from(seconds).map(Duration::from_secs).unwrap_or_default();
            whole.saturating_add(u64::try_from(micros).map(Duration::from_micros).unwrap_or_default())
        });
        return Err(files.wait_for(wanted, timeout));
    }
    let mut sets = [0; 3 * SET_LEN];
    found.iter().for_each(|place| sets[place / 8] |= 1 << (place % 8));
    let (seconds, micros) = time.unwrap_or_default();
    Ok([&sets[..], &long(seconds), &long(micros), &int(found.len() as i32)].concat())
}

/// As many parts as a message has whole.
fn writev(files: &mut Files, request: &Request<'_>) -> nix::Result<Vec<u8>> {
    let count = usize::try_from(request.i32(16)?).map_err(|_| Errno::EINVAL)?;
    let mut bytes = Vec::new();
    for part in 0..count {
        let at = 24 + part.checked_mul(PART_LEN).ok_or(Errno::EINVAL)?;
        let len = request.u64(at)?;
        if len > PART_DATA_LEN {
            return Err(Errno::EINVAL);
        }
        bytes.extend_from_slice(request.bytes(at + 8, len as usize)?);
    }
    Ok(long(files.write(request.i32(12)?, &bytes)? as i64))
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
