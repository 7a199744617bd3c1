//! The server: serves one group until containerd shuts it down.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Failure;
use super::address::Lock;
use super::args::Args;
use super::{logger, terminate};
use crate::container::Surroundings;
use crate::events::Events;
use crate::pedestal::nursery::{self, Chore, Nursery};
use crate::queue::Receiver;
use crate::reactor::Reactor;
use crate::sandbox::Sandbox;
use crate::service::{End, OnShutdown, SandboxService, Server, Services, TaskService, publish, services};
use crate::sys;

/// Descriptor of the listening socket in the server, as in containerd's own library.
pub(super) const LISTENER: RawFd = 3;
/// Descriptor of the pipe on which the server says that it serves.
pub(super) const READY: RawFd = 4;
/// The byte it says. Anything else is the text of a failure.
pub(super) const SERVING: u8 = 0;

/// Environment variable with containerd's event endpoint.
pub(super) const EVENTS: &str = "TTRPC_ADDRESS";
/// containerd creates a container milliseconds after `start`. A server without one after this long is forgotten.
const UNUSED_DEADLINE: Duration = Duration::from_secs(60);
/// How long the last events may take, how long the client may take to read the last answer, and how long the answers to
/// other requests may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves until the end.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let by_hand =
        |error| format!("descriptors of the server: {error}; containerd calls this binary with `start`");
    let listener = UnixListener::from(sys::adopt(LISTENER).map_err(by_hand)?);
    let ready = File::from(sys::adopt(READY).map_err(by_hand)?);
    logger::start(args);
    match Serving::begin(args, listener) {
        Ok(serving) => {
            serving.announce(ready)?;
            serving.work();
            Ok(())
        }
        Err(failure) => {
            // Standard error goes nowhere; `start` is listening here, unless it has given up.
            let _ = (&ready).write_all(failure.as_bytes());
            Err(failure)
        }
    }
}

/// A server that serves.
struct Serving {
    server: Server,
    sandbox: Arc<Sandbox>,
    socket: Option<PathBuf>,
    events: Events,
    chores: Receiver<Chore>,
}

impl Serving {
    fn begin(args: &Args, listener: UnixListener) -> Result<Serving, Failure> {
        terminate::block().map_err(|errno| format!("signals: {errno}"))?;
        let (nursery, chores) = Nursery::new();
        let reactor = Reactor::start().map_err(|error| format!("reactor: {error}"))?;
        let (events, queue) = Events::new();
        let address = std::env::var(EVENTS).unwrap_or_default();
        publish::start(&address, &args.namespace, queue).map_err(|error| format!("publisher: {error}"))?;
        let namespace = args.namespace.as_str().into();
        let surroundings =
            Surroundings { reactor, events: events.clone(), namespace, nursery: nursery.clone() };
        let sandbox = Arc::new(Sandbox::new(surroundings));
        terminate::watch(sandbox.clone(), nursery.clone()).map_err(|error| format!("signals: {error}"))?;
        let socket = socket_path(&listener);
        let end = Arc::new(End::new(on_shutdown(nursery, socket.clone())));
        let server =
            Server::start(listener, answers(&sandbox, &end)).map_err(|error| format!("server: {error}"))?;
        Ok(Serving { server, sandbox, socket, events, chores })
    }

    /// Tells `start`, which waits for it.
    fn announce(&self, mut ready: File) -> Result<(), Failure> {
        ready.write_all(&[SERVING]).map_err(|error| {
            // `start` was killed, and containerd does not know of the socket yet.
            self.socket.as_deref().inspect(|path| remove_socket(path));
            format!("the pipe to start: {error}")
        })
    }

    /// The main thread's work until the end.
    fn work(self) {
        nursery::work(&self.chores, UNUSED_DEADLINE, || forgotten(&self.sandbox, self.socket.as_deref()));
        self.events.flush(FAREWELL);
        self.server.finish(FAREWELL);
    }
}

/// True if containerd has forgotten the server that it had started: nobody else would end it.
fn forgotten(sandbox: &Sandbox, socket: Option<&Path>) -> bool {
    let unused = sandbox.close_unused();
    if unused {
        log::warn!("no container within {} s", UNUSED_DEADLINE.as_secs());
        socket.inspect(|path| remove_socket(path));
    }
    unused
}

/// All that the server answers.
fn answers(sandbox: &Arc<Sandbox>, end: &Arc<End>) -> Services {
    let tasks = TaskService::new(sandbox.clone(), end.clone());
    services(tasks, SandboxService::new(sandbox.clone(), end.clone()))
}

/// From now on a `start` of this group makes a new server.
fn remove_socket(path: &Path) {
    // Without the lock a `start` might see the socket in one moment and not in the next; better that than no end.
    let _lock = Lock::take(path);
    let _ = std::fs::remove_file(path);
}

/// Where the listening socket is bound.
fn socket_path(listener: &UnixListener) -> Option<PathBuf> {
    Some(listener.local_addr().ok()?.as_pathname()?.to_owned())
}

/// Ends the process after the answer to Shutdown has reached the client: it then closes the connection.
fn on_shutdown(nursery: Nursery, socket: Option<PathBuf>) -> OnShutdown {
    Box::new(move |connection| {
        if let Some(path) = socket {
            remove_socket(&path);
        }
        let (connection, at_once) = (sys::duplicate(connection), nursery.clone());
        let wait = move || {
            if let Ok(connection) = connection {
                wait_hangup(&connection);
            }
            nursery.exit(0);
        };
        if sys::spawn("farewell", wait).is_err() {
            at_once.exit(0);
        }
    })
}

/// Waits until the client has closed the connection, which poll reports without being asked.
fn wait_hangup(connection: &OwnedFd) {
    let timeout = PollTimeout::try_from(FAREWELL).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(connection.as_fd(), PollFlags::empty())];
    // A client that does not close in time has had its time.
    let _ = poll(&mut polled, timeout);
}
