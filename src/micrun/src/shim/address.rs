//! Where the server of a group listens.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firmware::checksum;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::Failure;
use super::args::Args;
use crate::bundle::Bundle;

/// The directory that containerd's own shims use.
const DIR: &str = "/run/containerd/s";
/// containerd gives `delete` five seconds for everything.
const LOCK_DEADLINE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// Annotations that name a group, the first one present decides.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// The path of the socket of the group that `args.id` belongs to, from the annotations in its bundle.
pub(super) fn socket_path(args: &Args, bundle: &Bundle) -> PathBuf {
    let named = GROUPS.iter().find_map(|key| bundle.annotations.get(*key));
    let group = named.map_or(args.id.as_str(), String::as_str);
    // Joined as text: a group that looks like a path leads to no other namespace.
    let unique = format!("{}/{}/{group}", args.address, args.namespace);
    Path::new(DIR).join(checksum::sha256(unique.as_bytes()))
}

/// The address by which containerd calls `path`.
pub(super) fn address(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// The right to bind or remove sockets, of all shims of this host.
///
/// A socket that is bound but does not listen yet looks like one whose server was killed. So whoever binds, judges or
/// removes one holds this lock meanwhile. It is a lock on the directory itself and goes with the process.
pub(super) struct Lock {
    _dir: Flock<File>,
}

impl Lock {
    /// Makes the directory, for root only, and takes the lock. It is held for microseconds, so the deadline only
    /// counts if a holder was stopped by a debugger.
    pub(super) fn take() -> Result<Lock, Failure> {
        let failed = |error: std::io::Error| format!("{DIR}: {error}");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(DIR).map_err(failed)?;
        let mut dir = File::open(DIR).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
                Ok(dir) => return Ok(Lock { _dir: dir }),
                Err((_, errno)) if errno != Errno::EWOULDBLOCK || begun.elapsed() > LOCK_DEADLINE => {
                    return Err(failed(errno.into()));
                }
                Err((same, _)) => dir = same,
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }
}

/// Removes a socket on which nobody answers; one that answers serves other containers of the group.
pub(super) fn remove_dead(path: &Path, _: &Lock) {
    if !answers(path) {
        // Missing is the normal case.
        let _ = std::fs::remove_file(path);
    }
}

/// True if a process listens at `path`. Does not wait for one that is too busy to accept.
fn answers(path: &Path) -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(socket) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else { return true };
    let Ok(address) = UnixAddr::new(path) else { return false };
    matches!(connect(socket.as_raw_fd(), &address), Ok(()) | Err(Errno::EAGAIN))
}
