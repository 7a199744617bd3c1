//! `start`: prints the address of the group's server, making that server if there is none.
//!
//! Two calls for one group may run at once; whoever binds the socket makes the server. The server gets the listening
//! socket itself, not its name, so containerd cannot connect too early, and nothing else of ours but a pipe on which
//! it says that it serves, or why not. Standard input may say more than the flags; nothing in it is needed, and
//! nothing in it keeps `start` from answering.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use log::LevelFilter;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::address::{self, Lock};
use super::args::{Args, LEVEL_FLAG};
use super::read::read;
use super::run::{EVENTS, LISTENER, READY, SERVING};
use super::{Failure, delegate, logger, say};
use crate::bundle::Bundle;
use crate::kind::Kind;
use crate::service::{Bootstrap, RUNTIME_OPTIONS};
use crate::sys;

/// A server serves some milliseconds after it was started; one that takes this long hangs.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// Longest reason that is passed on: it is one line.
const COMPLAINT_LIMIT: usize = 4096;
/// A few KiB are sent; this bounds what somebody else's bytes cost.
const STDIN_LIMIT: usize = 10 << 20;
/// containerd writes while we start. Who leaves the stream open is waited for no longer.
const STDIN_DEADLINE: Duration = Duration::from_secs(2);

/// Answers containerd.
pub(super) fn start(args: &Args) -> Result<(), Failure> {
    let bundle = Bundle::open_or_bare(Path::new(".")).map_err(|error| error.to_string())?;
    if Kind::of(&bundle) == Kind::Linux {
        logger::start(args);
        // Its standard input is for the other shim to read.
        return Err(delegate::start(args, &bundle));
    }
    let said = read_stdin(args);
    let args = &completed(args, &said);
    logger::start(args);
    // Those that mean something come again with Create.
    for name in said.options.iter().filter(|name| !name.ends_with(RUNTIME_OPTIONS)) {
        log::warn!("runtime options of type {name:?} are ignored, this shim's are {RUNTIME_OPTIONS}");
    }
    let path = address::socket_path(&address::directory(&said.socket_dir), args, &bundle);
    let address = address::announce(&path)?;
    if let Some(listener) = bind(&path)? {
        // The socket file goes again if no server comes of it.
        serve(args, &said, listener).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
    }
    // containerd takes all of stdout for the address, so no line end.
    say(address.as_bytes())
}

/// What standard input says, as far as it came in time.
fn read_stdin(args: &Args) -> Bootstrap {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let said = stdin.and_then(|stdin| read(stdin.into(), STDIN_LIMIT, STDIN_DEADLINE));
    let bytes = said.map(|said| said.bytes).unwrap_or_default();
    Bootstrap::parse(&bytes, &args.id, &args.namespace)
}

/// The flags, and what they leave open.
fn completed(args: &Args, said: &Bootstrap) -> Args {
    let mut args = args.clone();
    // `-debug` among the flags counts more.
    if args.level == LevelFilter::Info {
        args.level = said.level.unwrap_or(args.level);
    }
    if args.address.is_empty() {
        args.address.clone_from(&said.address);
    }
    args
}

/// The socket, or `None` if a server of this group answers there already.
fn bind(path: &Path) -> Result<Option<UnixListener>, Failure> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let lock = Lock::take(path)?;
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
fn serve(args: &Args, said: &Bootstrap, listener: UnixListener) -> Result<(), Failure> {
    let (ready, announce) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("pipe: {errno}"))?;
    let child = spawn(args, said, listener.into(), announce);
    let mut child = child.map_err(|error| format!("starting the server: {error}"))?;
    let served = wait_ready(ready);
    if served.is_err() {
        // It may hang as well as have ended.
        let _ = child.kill().and_then(|()| child.wait());
    } else {
        be_killed_before_containerd(child.id());
    }
    served
}

fn spawn(args: &Args, said: &Bootstrap, listener: OwnedFd, announce: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["-namespace", &args.namespace, "-id", &args.id, "-address", &args.address]);
    command.arg(format!("-{LEVEL_FLAG}={}", args.level));
    if std::env::var_os(EVENTS).is_none() {
        command.env(EVENTS, &said.events);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::bequeath(&mut command, [listener, announce], [LISTENER, READY]);
    // The command, and with it our own copy of the descriptors, is dropped on return: only the server has them.
    command.spawn()
}

/// Reads what the server says before it closes the pipe: [`SERVING`], or the reason why it does not serve.
fn wait_ready(ready: OwnedFd) -> Result<(), Failure> {
    let said = read(ready.into(), COMPLAINT_LIMIT, READY_DEADLINE);
    let said = said.map_err(|error| format!("the server's pipe: {error}"))?;
    match said.bytes.as_slice() {
        [SERVING] => Ok(()),
        [] if said.whole => Err("the server ended at once".to_owned()),
        [] => Err(format!("the server does not serve after {} s", READY_DEADLINE.as_secs())),
        complaint => Err(String::from_utf8_lossy(complaint).into_owned()),
    }
}

/// Makes the kernel, out of memory, take the server before containerd: its `oom_score_adj` is ours plus one.
fn be_killed_before_containerd(server: u32) {
    let ours = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let score = ours.trim().parse::<i32>().unwrap_or(0).saturating_add(1).min(1000);
    // Not allowed in some containers; the order of killing is then the kernel's choice.
    let _ = std::fs::write(format!("/proc/{server}/oom_score_adj"), score.to_string());
}
