//! The container's root file system: mounted as containerd asks, read for firmware and its settings.
//!
//! An image is not trusted: paths in it are resolved by the kernel inside the root file system (`openat2` with
//! `RESOLVE_IN_ROOT`), so that no link leads out of it, and what is opened must be a plain file of bounded length.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::sys::read_only_view;
use firmware::file::FileError;

/// One mount of a Create request, in containerd's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// File system type: `overlay`, `bind`, …
    pub kind: String,
    /// Device or directory.
    pub source: String,
    /// `ro`, `rbind`, `lowerdir=…`, …
    pub options: Vec<String>,
}

/// Why the root file system is not usable.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// A mount fails.
    #[error("mounting {kind} {mount_source:?} on {target:?}: {source}")]
    Mount {
        /// File system type.
        kind: String,
        /// Device or directory.
        mount_source: String,
        /// Where.
        target: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory cannot be made or opened.
    #[error("root file system {path:?}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the image cannot be read.
    #[error("the image's {path:?}: {source}")]
    File {
        /// Its path in the image.
        path: String,
        /// Why.
        source: FileError,
    },
    /// The image's `client.conf` is wrong.
    #[error("the image's {path:?}: {source}")]
    ClientConf {
        /// Its path in the image.
        path: String,
        /// Why.
        source: firmware::client_conf::ConfError,
    },
}

impl RootfsError {
    /// True if the image is to blame, not the system.
    pub fn is_the_images(&self) -> bool {
        matches!(self, RootfsError::File { .. } | RootfsError::ClientConf { .. })
    }
}

/// A root file system that is unmounted when dropped, unless it was there before us.
#[derive(Debug)]
pub struct Rootfs {
    path: PathBuf,
    mounted: bool,
}

impl Rootfs {
    /// Carries out `mounts` in order on `path`. With none, `path` is taken as it is (Docker mounts by itself).
    pub fn mount(path: &Path, mounts: &[Mount]) -> Result<Rootfs, RootfsError> {
        let mut rootfs = Rootfs { path: path.to_owned(), mounted: false };
        if !mounts.is_empty() {
            std::fs::create_dir_all(path)
                .map_err(|source| RootfsError::Directory { path: path.to_owned(), source })?;
        }
        for wanted in mounts {
            // Before the attempt: of a mount in two steps the first may succeed and the second fail.
            rootfs.mounted = true;
            mount_at(path, wanted).map_err(|errno| RootfsError::Mount {
                kind: wanted.kind.clone(),
                mount_source: wanted.source.clone(),
                target: path.to_owned(),
                source: errno.into(),
            })?;
        }
        Ok(rootfs)
    }

    /// The files in it, for reading: through a mount of our own that can't be written to, where the kernel has such
    /// (Linux 5.12); nobody else sees it, and it goes with the value.
    pub fn image(&self) -> Result<Image<'_>, RootfsError> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = read_only_view(&self.path).or_else(|_| open(&self.path, directory, Mode::empty()));
        let failed = |errno: Errno| RootfsError::Directory { path: self.path.clone(), source: errno.into() };
        Ok(Image { root: root.map_err(failed)?, _rootfs: PhantomData })
    }
}

/// What is in a root file system, as it was when this was made.
#[derive(Debug)]
pub struct Image<'r> {
    root: OwnedFd,
    /// It is gone before the root file system is unmounted.
    _rootfs: PhantomData<&'r Rootfs>,
}

impl Image<'_> {
    /// Reads a file, `None` if there is none. Links stay inside the image.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, RootfsError> {
        let failed = |source| RootfsError::File { path: path.to_owned(), source };
        match self.open(path) {
            Ok(file) => firmware::file::read(&File::from(file), limit).map(Some).map_err(failed),
            Err(FileError::Io(error)) if absent(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn open(&self, path: &str) -> Result<OwnedFd, FileError> {
        let inside = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let found =
            openat2(&self.root, path, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(inside));
        let found = found.map_err(io::Error::from)?;
        // Looked at before it is opened: opening a device node of the image would already wake a driver.
        let kind =
            SFlag::from_bits_truncate(fstat(&found).map_err(io::Error::from)?.st_mode & SFlag::S_IFMT.bits());
        if kind != SFlag::S_IFREG {
            return Err(FileError::NotRegular);
        }
        let reopened = format!("/proc/self/fd/{}", found.as_raw_fd());
        Ok(open(reopened.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(io::Error::from)?)
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        if self.mounted
            && let Err(errno) = unmount(&self.path)
        {
            log::warn!("unmounting {}: {errno}", self.path.display());
        }
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Removes every mount on `path`. Nothing mounted there, or no such directory, is fine.
pub fn unmount(path: &Path) -> nix::Result<()> {
    loop {
        // Detached, so that a file somebody still has open does not keep the mount in the bundle.
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

fn mount_at(target: &Path, wanted: &Mount) -> nix::Result<()> {
    let flags = attach(target, wanted)?;
    protect(target, flags)
}

/// Mounts on `target`, and gives the flags for [`protect`]: until then what is bound can be written.
pub(crate) fn attach(target: &Path, wanted: &Mount) -> nix::Result<MsFlags> {
    let (flags, data) = parse_options(&wanted.options);
    let data = (!data.is_empty()).then_some(data.as_str());
    mount(Some(wanted.source.as_str()), target, Some(wanted.kind.as_str()), flags, data)?;
    Ok(flags)
}

/// Makes a bind mount read-only if its flags say so: it takes other flags only when it is mounted again. `target` leads to
/// what is mounted, not to what it is mounted on.
pub(crate) fn protect(target: &Path, flags: MsFlags) -> nix::Result<()> {
    if !flags.contains(MsFlags::MS_BIND | MsFlags::MS_RDONLY) {
        return Ok(());
    }
    mount(None::<&str>, target, None::<&str>, flags | MsFlags::MS_REMOUNT, None::<&str>)
}

/// Splits mount(8) options into flags and what is for the file system itself.
fn parse_options(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match option.as_str() {
            "ro" => flags |= MsFlags::MS_RDONLY,
            "bind" => flags |= MsFlags::MS_BIND,
            "rbind" => flags |= MsFlags::MS_BIND | MsFlags::MS_REC,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "rw" | "defaults" => {}
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (tempfile::TempDir, Rootfs) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("etc")).expect("made");
        std::fs::write(dir.path().join("etc/passwd"), "inside").expect("written");
        let rootfs = Rootfs::mount(dir.path(), &[]).expect("taken as it is");
        (dir, rootfs)
    }

    #[test]
    fn links_stay_inside_the_image() {
        let (dir, rootfs) = image();
        for (number, target) in ["/etc/passwd", "../../../../../../etc/passwd"].iter().enumerate() {
            let link = format!("link{number}");
            std::os::unix::fs::symlink(target, dir.path().join(&link)).expect("linked");
            assert_eq!(
                rootfs.image().expect("readable").read(&link, 100).expect("readable").as_deref(),
                Some(&b"inside"[..])
            );
        }
    }

    #[test]
    fn a_fifo_is_refused_and_does_not_hang() {
        let (dir, rootfs) = image();
        nix::unistd::mkfifo(&dir.path().join("firmware.elf"), Mode::S_IRWXU).expect("a fifo");
        let error =
            rootfs.image().expect("readable").read("/firmware.elf", 100).expect_err("not a file").to_string();
        assert_eq!(error, "the image's \"/firmware.elf\": it is not a regular file");
    }

    #[test]
    fn a_missing_file_is_none() {
        let (_dir, rootfs) = image();
        assert!(rootfs.image().expect("readable").read("/etc/passwd/x", 100).expect("no error").is_none());
        assert!(rootfs.image().expect("readable").read("/nothing", 100).expect("no error").is_none());
    }

    #[test]
    fn what_is_read_cannot_be_written_through_it() {
        let (dir, rootfs) = image();
        let Ok(view) = read_only_view(dir.path()) else { return };
        let writing = OpenHow::new().flags(OFlag::O_WRONLY);
        assert_eq!(openat2(&view, "etc/passwd", writing).err(), Some(Errno::EROFS));
        std::fs::write(dir.path().join("etc/passwd"), "still writable").expect("written");
        drop((view, rootfs));
    }

    #[test]
    fn options_are_split_into_flags_and_data() {
        let options = ["ro", "rbind", "lowerdir=/a", "index=off"].map(str::to_owned);
        let (flags, data) = parse_options(&options);
        assert_eq!(flags, MsFlags::MS_RDONLY | MsFlags::MS_BIND | MsFlags::MS_REC);
        assert_eq!(data, "lowerdir=/a,index=off");
    }
}
