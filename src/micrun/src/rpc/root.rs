//! Paths of the RTOS: resolved by the kernel inside the container's root file system, so that nothing leads out of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Longest path that is put together from a working directory and what the RTOS says (Linux's `PATH_MAX`).
const PATH_MAX: usize = 4096;
/// No set-user-id and such: the RTOS's files are written with the shim's rights.
const MODES: u32 = 0o777;

/// The root directory, and where relative paths begin.
#[derive(Debug)]
pub(super) struct Root {
    directory: OwnedFd,
    cwd: String,
}

/// A name in a directory that was resolved.
pub(super) struct Entry<'a> {
    pub(super) directory: OwnedFd,
    pub(super) name: &'a str,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Root { directory: open(path, flags, Mode::empty())?, cwd: "/".to_owned() })
    }

    /// Where relative paths begin.
    pub(super) fn cwd(&self) -> &str {
        &self.cwd
    }

    /// From now on relative paths begin at `path`. It stays as it was said: links in it are resolved each time.
    pub(super) fn set_cwd(&mut self, path: &str) -> nix::Result<()> {
        let path = self.absolute(path)?;
        self.resolve(&path, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        self.cwd = path;
        Ok(())
    }

    /// What is at `path`, without opening it: only good for asking about it.
    pub(super) fn find(&self, path: &str, follow: bool) -> nix::Result<OwnedFd> {
        let no_follow = if follow { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        self.resolve(&self.absolute(path)?, OFlag::O_PATH | no_follow, Mode::empty())
    }

    /// Opens a plain file or a directory. Anything else is refused before it is opened: a device would wake a driver, a
    /// FIFO would wait.
    pub(super) fn open_file(&self, path: &str, flags: OFlag, mode: u32) -> nix::Result<File> {
        let creating = OFlag::O_CREAT | OFlag::O_EXCL;
        match self.find(path, !flags.contains(OFlag::O_NOFOLLOW)) {
            Ok(_) if flags.contains(creating) => Err(Errno::EEXIST),
            Ok(found) => reopen(found.as_fd(), flags - creating),
            Err(Errno::ENOENT) if flags.contains(OFlag::O_CREAT) => {
                let made = self.resolve(&self.absolute(path)?, flags | creating, permissions(mode));
                Ok(made?.into())
            }
            Err(errno) => Err(errno),
        }
    }

    /// The directory of `path` and the name in it, for calls that change the directory.
    pub(super) fn entry<'a>(&self, path: &'a str) -> nix::Result<Entry<'a>> {
        let path = path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        if matches!(name, "" | "." | "..") {
            return Err(Errno::EINVAL);
        }
        let parent = if path.len() == name.len() + 1 { "/" } else { parent };
        let directory =
            self.resolve(&self.absolute(parent)?, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Entry { directory, name })
    }

    fn absolute(&self, path: &str) -> nix::Result<String> {
        let path = match path {
            "" => return Err(Errno::ENOENT),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("{}/{relative}", self.cwd),
        };
        if path.len() < PATH_MAX { Ok(path) } else { Err(Errno::ENAMETOOLONG) }
    }

    fn resolve(&self, path: &str, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
        let inside = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(inside);
        openat2(&self.directory, path, how)
    }
}

/// What is known of an open file or a path that was found.
pub(super) fn status(file: impl AsFd) -> nix::Result<FileStat> {
    fstat(file)
}

/// The name by which a path that was found can be given to calls that take names.
pub(super) fn magic_link(found: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", found.as_raw_fd())
}

/// Permissions that the RTOS may give.
pub(super) fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & MODES)
}

fn reopen(found: BorrowedFd<'_>, flags: OFlag) -> nix::Result<File> {
    let kind = SFlag::from_bits_truncate(status(found)?.st_mode & SFlag::S_IFMT.bits());
    match kind {
        SFlag::S_IFREG | SFlag::S_IFDIR => {}
        SFlag::S_IFLNK => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    let flags = (flags - OFlag::O_NOFOLLOW) | OFlag::O_CLOEXEC;
    Ok(open(magic_link(found).as_str(), flags, Mode::empty())?.into())
}
