//! Where the server of a group listens.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firmware::checksum;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::Deserialize;

use super::Failure;
use super::args::Args;
use crate::bundle::Bundle;

/// The directory that containerd's own shims use.
const DIR: &str = "/run/containerd/s";
/// containerd gives `delete` five seconds for everything.
const LOCK_DEADLINE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// Annotations that name a group, the first one present decides.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// containerd's limit for the path of a socket (`socketPathLimit`); the kernel's is one byte more.
const PATH_LIMIT: usize = 106;
/// Digits of a SHA-256.
const NAME_LEN: usize = 64;
/// The file of the bundle with the address. containerd 1.x looks there after its restart, `delete` always.
const FILE: &str = "address";
/// containerd's own note of it, a JSON object.
const NOTE: &str = "bootstrap.json";
/// The link in the bundle to a directory of sockets that containerd chose; containerd looks for it when it cleans up.
const LINK: &str = "s";
/// More than an address has.
const ADDRESS_LIMIT: u64 = 4096;
const SCHEME: &str = "unix://";

/// The directory for sockets: what containerd says, else [`DIR`].
pub(super) fn directory(wanted: &str) -> PathBuf {
    if wanted.is_empty() {
        return DIR.into();
    }
    if wanted.starts_with('/') && wanted.len() + 1 + NAME_LEN <= PATH_LIMIT {
        return wanted.into();
    }
    let longest = PATH_LIMIT - NAME_LEN - 1;
    log::warn!(
        "directory of sockets {wanted:?}: it must be absolute and at most {longest} bytes long; {DIR} is used"
    );
    DIR.into()
}

/// The path of the socket in `dir` of the group that `args.id` belongs to, from the annotations in its bundle.
pub(super) fn socket_path(dir: &Path, args: &Args, bundle: &Bundle) -> PathBuf {
    let named = GROUPS.iter().find_map(|key| bundle.annotations.get(*key));
    let group = named.map_or(args.id.as_str(), String::as_str);
    // Joined as text: a group that looks like a path leads to no other namespace. The first word is ours: containerd's
    // own shims hash the rest, and the Linux containers of a pod have such a shim for the same group.
    let unique = format!("micrun {}/{}/{group}", args.address, args.namespace);
    dir.join(checksum::sha256(unique.as_bytes()))
}

/// Writes down in the working directory where the socket is to be, and gives the address by which containerd calls it.
///
/// To be done before the socket is bound: `delete` finds it there, whatever happens in between.
pub(super) fn announce(path: &Path) -> Result<String, Failure> {
    let address = format!("{SCHEME}{}", path.display());
    std::fs::write(FILE, &address).map_err(|error| format!("file {FILE} in the bundle: {error}"))?;
    let dir = path.parent().filter(|dir| *dir != Path::new(DIR));
    if let Some(dir) = dir
        && let Err(error) = std::os::unix::fs::symlink(dir, LINK)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(format!("link {LINK} in the bundle: {error}"));
    }
    Ok(address)
}

/// The socket that was announced in the bundle `dir`.
pub(super) fn announced(dir: &Path) -> Option<PathBuf> {
    let bytes = firmware::file::read(&File::open(dir.join(FILE)).ok()?, ADDRESS_LIMIT).ok()?;
    socket_of(&String::from_utf8(bytes).ok()?)
}

/// The socket of the container's shim, whichever that is, by containerd's own note in the bundle `dir`: since 2.0.
pub(super) fn noted(dir: &Path) -> Option<PathBuf> {
    let bytes = firmware::file::read(&File::open(dir.join(NOTE)).ok()?, ADDRESS_LIMIT).ok()?;
    let note: Note = serde_json::from_slice(&bytes).ok()?;
    socket_of(&note.address)
}

/// What we read of that note.
#[derive(Deserialize)]
struct Note {
    address: String,
}

fn socket_of(address: &str) -> Option<PathBuf> {
    let path = PathBuf::from(address.strip_prefix(SCHEME)?);
    // Nothing but a socket of a shim is ever removed.
    let name = path.file_name()?.to_str()?;
    let hashed = name.len() == NAME_LEN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hashed && path.is_absolute()).then_some(path)
}

/// The right to bind or remove sockets in one directory, of all shims of this host.
///
/// A socket that is bound but does not listen yet looks like one whose server was killed. So whoever binds, judges or
/// removes one holds this lock meanwhile. It is a lock on the directory itself and goes with the process.
pub(super) struct Lock {
    _dir: Flock<File>,
}

impl Lock {
    /// Makes the directory of the socket `path`, for root only, and takes the lock. It is held for a millisecond at most,
    /// so the deadline only counts if a holder or a server was stopped by a debugger.
    pub(super) fn take(path: &Path) -> Result<Lock, Failure> {
        let dir = path.parent().unwrap_or(Path::new(DIR));
        let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut dir = File::open(dir).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
                Ok(dir) => return Ok(Lock { _dir: dir }),
                Err((_, errno)) if errno != Errno::EWOULDBLOCK || begun.elapsed() > LOCK_DEADLINE => {
                    return Err(failed(errno.into()));
                }
                Err((same, _)) => dir = same,
            }
            std::thread::sleep(PAUSE);
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

/// Waits until nobody answers at `path`, at most for `deadline`.
pub(super) fn wait_for_end(path: &Path, deadline: Duration) {
    let begun = Instant::now();
    while answers(path) && begun.elapsed() < deadline {
        std::thread::sleep(PAUSE);
    }
}

/// A ttrpc request for no method of no service: length 0, stream 1, type 1, no flags. Every server answers it.
const PING: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0];
/// A server answers in less than a millisecond; one that takes this long is busy, or stopped by a debugger.
const PING_DEADLINE: u16 = 1000;

/// True if a living process listens at `path`. Does not wait for one that is too busy to accept.
fn answers(path: &Path) -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(socket) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else { return true };
    let Ok(address) = UnixAddr::new(path) else { return false };
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => is_served(File::from(socket)),
        Err(errno) => errno == Errno::EAGAIN,
    }
}

/// True unless the server is being killed: the kernel closes its connections, upon which containerd calls `delete`, some
/// time before it closes the listening socket, which takes connections to the last.
fn is_served(mut connection: File) -> bool {
    if connection.write_all(&PING).is_err() {
        return false;
    }
    let mut polled = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    let answered = poll(&mut polled, PollTimeout::from(PING_DEADLINE)) != Ok(0);
    !answered || matches!(connection.read(&mut [0]), Ok(1))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// What [`answers`] says of a listener that `serve` is let loose on.
    fn with(serve: impl FnOnce(UnixListener) + Send + 'static) -> bool {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        let server = thread::spawn(move || serve(listener));
        let answered = answers(&path);
        server.join().expect("no panic");
        answered
    }

    #[test]
    fn a_server_answers() {
        assert!(with(|listener| {
            let (mut connection, _) = listener.accept().expect("a connection");
            let mut ping = [0; PING.len()];
            connection.read_exact(&mut ping).expect("a request");
            connection.write_all(&ping).expect("answered");
        }));
    }

    #[test]
    fn a_listener_that_is_closed_upon_the_connection_does_not() {
        assert!(!with(|listener| {
            poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).expect("polled");
        }));
    }

    #[test]
    fn a_socket_without_a_listener_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).expect("bound"));
        assert!(!answers(&path));
        assert!(!answers(&dir.path().join("missing")));
    }

    fn noted_in(content: &str) -> Option<PathBuf> {
        let bundle = tempfile::tempdir().expect("a directory");
        std::fs::write(bundle.path().join(NOTE), content).expect("written");
        noted(bundle.path())
    }

    #[test]
    fn containerd_s_note_names_a_socket_of_a_shim_and_nothing_else() {
        let socket = format!("/run/containerd/s/{}", "0a".repeat(NAME_LEN / 2));
        let note = |address: &str| format!(r#"{{"version":3,"address":"{address}","protocol":"ttrpc"}}"#);
        assert_eq!(noted_in(&note(&format!("unix://{socket}"))), Some(socket.into()));
        for address in ["unix:///etc/passwd", "vsock://2:1024", "", &"0a".repeat(NAME_LEN / 2)] {
            assert_eq!(noted_in(&note(address)), None, "{address}");
        }
        assert_eq!(noted_in("not JSON"), None);
    }
}
