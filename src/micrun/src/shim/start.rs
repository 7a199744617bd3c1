//! `start`: prints the address of the group's server, making that server if there is none.
//!
//! Two calls for one group may run at once; whoever binds the socket makes the server. The server gets the listening
//! socket itself, not its name, so containerd cannot connect too early, and nothing else of ours but a pipe on which
//! it says that it serves, or why not. Whatever is on standard input is not needed: every value comes as a flag.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::Failure;
use super::address::{self, Lock};
use super::args::Args;
use super::run::{LISTENER, READY, SERVING};
use crate::bundle::Bundle;
use crate::sys;

/// A server serves some milliseconds after it was started; one that takes this long hangs.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// Where containerd 1.x looks after its restart.
const ADDRESS_FILE: &str = "address";

/// Answers containerd.
pub(super) fn start(args: &Args) -> Result<(), Failure> {
    let bundle = Bundle::open(Path::new(".")).map_err(|error| error.to_string())?;
    let path = address::socket_path(args, &bundle);
    let address = address::address(&path);
    if let Some(listener) = bind(&path)? {
        // Written before there is a server: nobody would end one that a full disk keeps from being announced.
        let served = write_address(&address).and_then(|()| serve(args, listener));
        // The socket file goes again if no server comes of it.
        served.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
    } else {
        write_address(&address)?;
    }
    // containerd takes all of stdout for the address, so no line end.
    print!("{address}");
    io::stdout().flush().map_err(|error| format!("stdout: {error}"))
}

fn write_address(address: &str) -> Result<(), Failure> {
    std::fs::write(ADDRESS_FILE, address)
        .map_err(|error| format!("file {ADDRESS_FILE} in the bundle: {error}"))
}

/// The socket, or `None` if a server of this group answers there already.
fn bind(path: &Path) -> Result<Option<UnixListener>, Failure> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let lock = Lock::take()?;
    // What a killed server left would be in the way.
    address::remove_dead(path, &lock);
    match UnixListener::bind(path) {
        Ok(listener) => {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(failed)?;
            Ok(Some(listener))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Starts the server and waits until it serves.
fn serve(args: &Args, listener: UnixListener) -> Result<(), Failure> {
    let (ready, announce) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("pipe: {errno}"))?;
    let mut child =
        spawn(args, listener.into(), announce).map_err(|error| format!("starting the server: {error}"))?;
    let served = wait_ready(ready);
    if served.is_err() {
        // It may hang as well as have ended.
        let _ = child.kill().and_then(|()| child.wait());
    } else {
        be_killed_before_containerd(child.id());
    }
    served
}

fn spawn(args: &Args, listener: OwnedFd, announce: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["-namespace", &args.namespace, "-id", &args.id, "-address", &args.address]);
    if args.debug {
        command.arg("-debug");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::bequeath(&mut command, [listener, announce], [LISTENER, READY]);
    // The command, and with it our own copy of the descriptors, is dropped on return: only the server has them.
    command.spawn()
}

/// Reads what the server says: [`SERVING`], or the reason why it does not.
fn wait_ready(ready: OwnedFd) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut pipe = File::from(ready);
    let mut said = Vec::new();
    loop {
        let left = READY_DEADLINE.saturating_sub(begun.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout) {
            Ok(0) => return Err(format!("the server does not serve after {} s", READY_DEADLINE.as_secs())),
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(errno) => return Err(format!("poll: {errno}")),
        }
        let mut chunk = [0; 512];
        match pipe.read(&mut chunk) {
            Ok(0) if said.is_empty() => return Err("the server ended at once".to_owned()),
            Ok(0) => return Err(String::from_utf8_lossy(&said).into_owned()),
            Ok(len) => said.extend_from_slice(&chunk[..len]),
            Err(error) => return Err(format!("the server's pipe: {error}")),
        }
        if said == [SERVING] {
            return Ok(());
        }
    }
}

/// Makes the kernel, out of memory, take the server before containerd: its `oom_score_adj` is ours plus one.
fn be_killed_before_containerd(server: u32) {
    let ours = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let score = ours.trim().parse::<i32>().unwrap_or(0).saturating_add(1).min(1000);
    // Not allowed in some containers; the order of killing is then the kernel's choice.
    let _ = std::fs::write(format!("/proc/{server}/oom_score_adj"), score.to_string());
}
