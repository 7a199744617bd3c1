//! Calls on paths.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, readlinkat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, fchmodat, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};

use super::calls::random_name;
use super::files::Files;
use super::root::{Entry, Root, magic_link, permissions, status};
use super::wire::{DATA_LEN, PATH_LEN, Request, STAT_LEN, data, int};

/// A path field that a message cannot hold in full.
const LONG_PATH_LEN: usize = 1024;
/// What `mkstemp` replaces.
const TEMPLATE: &str = "XXXXXX";
/// How often `mkstemp` tries another name.
const ATTEMPTS: u32 = 100;
const OWNER_ONLY: u32 = 0o600;

type Answer = nix::Result<Vec<u8>>;

/// Removes a name: a directory's or anything else's, as `flag` says.
pub(super) fn remove_entry(root: &Root, path: &str, flag: UnlinkatFlags) -> nix::Result<()> {
    let Entry { directory, name } = root.entry(path)?;
    unlinkat(directory, name, flag)
}

pub(super) fn unlink(files: &mut Files, request: &Request<'_>) -> Answer {
    remove_entry(&files.root, request.text(12, PATH_LEN)?, UnlinkatFlags::NoRemoveDir).map(|()| int(0))
}

pub(super) fn rmdir(files: &mut Files, request: &Request<'_>) -> Answer {
    remove_entry(&files.root, request.text(12, PATH_LEN)?, UnlinkatFlags::RemoveDir).map(|()| int(0))
}

pub(super) fn remove(files: &mut Files, request: &Request<'_>) -> Answer {
    let path = request.text(12, PATH_LEN)?;
    match remove_entry(&files.root, path, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => remove_entry(&files.root, path, UnlinkatFlags::RemoveDir),
        result => result,
    }
    .map(|()| int(0))
}

pub(super) fn rename(files: &mut Files, request: &Request<'_>) -> Answer {
    let old = files.root.entry(request.text(12, PATH_LEN)?)?;
    let new = files.root.entry(request.text(12 + PATH_LEN, PATH_LEN)?)?;
    renameat(old.directory, old.name, new.directory, new.name).map(|()| int(0))
}

pub(super) fn mkdir(files: &mut Files, request: &Request<'_>) -> Answer {
    let Entry { directory, name } = files.root.entry(request.text(16, DATA_LEN)?)?;
    mkdirat(directory, name, permissions(request.u32(12)?)).map(|()| int(0))
}

/// Makes a file and opens it; the name is not told, as in upstream.
pub(super) fn mkstemp(files: &mut Files, request: &Request<'_>) -> Answer {
    let template = request.text(12, PATH_LEN)?;
    let stem = template.strip_suffix(TEMPLATE).ok_or(Errno::EINVAL)?;
    let (_, file) = make_unique(&files.root, stem)?;
    files.add(file).map(int)
}

/// Makes a file whose path begins with `stem` and was not there before.
pub(super) fn make_unique(root: &Root, stem: &str) -> nix::Result<(String, File)> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    for attempt in 0..ATTEMPTS {
        let path = format!("{stem}{}", random_name(attempt));
        match root.open_file(&path, flags, OWNER_ONLY) {
            Err(Errno::EEXIST) => {}
            made => return Ok((path, made?)),
        }
    }
    Err(Errno::EEXIST)
}

pub(super) fn chdir(files: &mut Files, request: &Request<'_>) -> Answer {
    files.root.set_cwd(request.text(12, PATH_LEN)?).map(|()| int(0))
}

pub(super) fn getcwd(files: &mut Files, request: &Request<'_>) -> Answer {
    let room = request.count(16)?.min(DATA_LEN);
    let cwd = files.root.cwd().as_bytes();
    if cwd.len() + 1 > room {
        return Err(Errno::ERANGE);
    }
    Ok([&int(0)[..], cwd, &[0]].concat())
}

pub(super) fn access(files: &mut Files, request: &Request<'_>) -> Answer {
    let wanted = AccessFlags::from_bits(request.i32(12)?).ok_or(Errno::EINVAL)?;
    let found = files.root.find(request.text(16, DATA_LEN)?, true)?;
    faccessat(AT_FDCWD, magic_link(found.as_fd()).as_str(), wanted, nix::fcntl::AtFlags::empty())?;
    Ok(int(0))
}

pub(super) fn chmod(files: &mut Files, request: &Request<'_>) -> Answer {
    let mode = permissions(request.u32(12)?);
    let found = files.root.find(request.text(16, DATA_LEN)?, true)?;
    fchmodat(AT_FDCWD, magic_link(found.as_fd()).as_str(), mode, FchmodatFlags::FollowSymlink)?;
    Ok(int(0))
}

pub(super) fn readlink(files: &mut Files, request: &Request<'_>) -> Answer {
    let room = request.count(16)?.min(DATA_LEN);
    let Entry { directory, name } = files.root.entry(request.text(24, DATA_LEN)?)?;
    let target = readlinkat(directory, name)?.into_encoded_bytes();
    // Like the call itself: what does not fit is cut.
    let told = target.get(..room).unwrap_or(&target);
    Ok(data(told.len(), told))
}

pub(super) fn stat(files: &mut Files, request: &Request<'_>) -> Answer {
    let found = files.root.find(request.text(12, LONG_PATH_LEN)?, true)?;
    Ok(block(&status(found)?))
}

pub(super) fn lstat(files: &mut Files, request: &Request<'_>) -> Answer {
    let found = files.root.find(request.text(12, LONG_PATH_LEN)?, false)?;
    Ok(block(&status(found)?))
}

pub(super) fn fstat(files: &mut Files, request: &Request<'_>) -> Answer {
    Ok(block(&status(files.get(request.i32(12)?)?)?))
}

/// The stat block; its own offsets count from the params, whose first eight bytes are not ours.
#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between machines")]
fn block(stat: &FileStat) -> Vec<u8> {
    let long = |value: i64| value.to_le_bytes();
    let int = |value: u32| value.to_le_bytes();
    let mut block = Vec::with_capacity(STAT_LEN);
    // `ret`, and four bytes to the next multiple of eight.
    block.extend_from_slice(&[0; 8]);
    for value in [stat.st_dev as i64, stat.st_ino as i64, stat.st_nlink as i64] {
        block.extend_from_slice(&long(value));
    }
    for value in [stat.st_mode as u32, stat.st_uid, stat.st_gid, 0] {
        block.extend_from_slice(&int(value));
    }
    for value in [stat.st_rdev as i64, stat.st_size as i64, stat.st_blksize as i64, stat.st_blocks as i64] {
        block.extend_from_slice(&long(value));
    }
    for value in [
        stat.st_atime,
        stat.st_atime_nsec,
        stat.st_mtime,
        stat.st_mtime_nsec,
        stat.st_ctime,
        stat.st_ctime_nsec,
    ] {
        block.extend_from_slice(&long(value as i64));
    }
    block
}
