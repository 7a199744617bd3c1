//! What the RTOS sees: the container's root file system, and in it what is mounted there for containers (volumes).
//!
//! The mounts are made in a mount namespace of the calling thread, and go with it. Nobody else sees them, so nothing has
//! to be unmounted, whatever happens to the shim.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::mkdirat;

use super::network::Network;
use super::root::{Entry, Root, magic_link, permissions};
use crate::rootfs::{Mount, attach, protect};

const DIRECTORY: u32 = 0o755;
const FILE: u32 = 0o644;

/// A directory or file of the host that containers see at `destination`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Absolute path in the container.
    pub destination: String,
    /// Where it comes from.
    pub mount: Mount,
}

/// The files that the calls of one RTOS reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedFiles {
    /// The container's root file system.
    pub root: PathBuf,
    /// What is mounted in it, in order.
    pub volumes: Vec<Volume>,
    /// Where its sockets are.
    pub network: Network,
}

impl SharedFiles {
    /// Mounts everything for the calling thread, for ever. A volume that cannot be mounted is told in the log and missing;
    /// one that should be read-only and is not is an error.
    pub(super) fn enter(&self) -> io::Result<Root> {
        if self.volumes.is_empty() {
            return Root::open(&self.root);
        }
        unshare(CloneFlags::CLONE_NEWNS)?;
        // What is unmounted elsewhere goes here too, what is mounted here is seen nowhere else.
        let (recursive, nothing) = (MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>);
        mount(nothing, "/", nothing, recursive, nothing)?;
        let root = Root::open(&self.root)?;
        for volume in &self.volumes {
            match volume.attach(&root) {
                Ok(flags) => volume.protect(&root, flags)?,
                Err(errno) => {
                    let (from, to) = (&volume.mount.source, &volume.destination);
                    log::warn!("mounting {from:?} on {to:?} for the rtos: {errno}");
                }
            }
        }
        Ok(root)
    }
}

impl Volume {
    fn attach(&self, root: &Root) -> nix::Result<MsFlags> {
        let target = match root.find(&self.destination, true) {
            Err(Errno::ENOENT) => self.make(root)?,
            found => found?,
        };
        attach(Path::new(&magic_link(target.as_fd())), &self.mount)
    }

    fn protect(&self, root: &Root, flags: MsFlags) -> nix::Result<()> {
        // Found anew: what was found before is what lies below the mount.
        let mounted = root.find(&self.destination, true)?;
        protect(Path::new(&magic_link(mounted.as_fd())), flags)
    }

    /// Makes what it can be mounted on: a directory on a directory, a file on anything else.
    fn make(&self, root: &Root) -> nix::Result<OwnedFd> {
        let path = self.destination.trim_end_matches('/');
        let is_directory = Path::new(&self.mount.source).is_dir();
        let parents = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        let parents = parents.chain(is_directory.then_some(path.len()));
        for parent in parents.filter_map(|end| path.get(..end)) {
            make_directory(root, parent)?;
        }
        if !is_directory {
            root.open_file(path, OFlag::O_CREAT | OFlag::O_WRONLY, FILE)?;
        }
        root.find(path, true)
    }
}

fn make_directory(root: &Root, path: &str) -> nix::Result<()> {
    let Entry { directory, name } = root.entry(path)?;
    match mkdirat(directory, name, permissions(DIRECTORY)) {
        Err(Errno::EEXIST) => Ok(()),
        made => made,
    }
}
