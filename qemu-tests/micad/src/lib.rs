//! openEuler's `micad`, played for tests: its sockets, its messages, its terminals, its delays, failures and ends, with
//! an RTOS behind it.
//!
//! Made from the description of the real one, not from what micrun sends. What the real one does wrong it does wrong
//! too: one thread serves everybody and waits for silent clients, `stop` always succeeds, only a question for the status
//! notices that firmware has powered its core off, and nothing notices a crash.
#![forbid(unsafe_code)]

mod ground;
mod instance;
mod message;
mod node;
mod rtos;
mod server;
mod tty;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::OFlag;

pub use ground::Ground;
pub use message::{Create, LEN};
pub use node::Node;
pub use wire::{Exchange, text};

/// What may be different from one micad to the next.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the sockets, `/run/mica` in life. Everything in it is deleted first.
    pub sockets: PathBuf,
    /// Directory of the links to terminals, `/dev` in life.
    pub ttys: PathBuf,
    /// Links have the instance's name (`RPMSG_TTY_USE_CLIENT_NAME`), not a number.
    pub named: bool,
    /// How long firmware takes until it announces its endpoints.
    pub announce: Duration,
    /// How long each command takes, by its first word; `create` is one.
    pub delays: BTreeMap<String, Duration>,
    /// Commands that fail, by their first word or as a whole.
    pub failures: Vec<String>,
    /// Replies come in pieces of one byte.
    pub trickle: bool,
}

impl Options {
    /// A prompt micad of the default build, in these directories.
    #[must_use]
    pub fn new(sockets: PathBuf, ttys: PathBuf) -> Options {
        Options {
            sockets,
            ttys,
            named: false,
            announce: Duration::from_millis(10),
            delays: BTreeMap::new(),
            failures: Vec::new(),
            trickle: false,
        }
    }
}

/// A running micad. Dropping it is a kill: what it had open is closed, its files stay, its cores run on.
pub struct Micad {
    options: Arc<Mutex<Options>>,
    log: Arc<Mutex<Vec<Exchange>>>,
    /// Closed, it ends the thread.
    life: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Micad {
    /// Starts it. It knows no instance, whatever runs on the node.
    ///
    /// # Errors
    /// Directory or socket cannot be made.
    pub fn start(options: Options, node: Arc<Node>) -> io::Result<Micad> {
        let _ = fs::remove_dir_all(&options.sockets);
        fs::create_dir_all(&options.sockets)?;
        fs::create_dir_all(&options.ttys)?;
        // Not for the programs that a test starts: they would keep it open.
        let (ended, life) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let options = Arc::new(Mutex::new(options));
        let log = Arc::new(Mutex::default());
        let server = server::Server::new(options.clone(), node, Arc::clone(&log), ended)?;
        let thread = thread::Builder::new().name("micad".into()).spawn(move || server.run())?;
        Ok(Micad { options, log, life: Some(life), thread: Some(thread) })
    }

    /// Everything that went over its sockets so far.
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        self.log.lock().unwrap().clone()
    }

    /// From now on the command with this first word takes so long.
    pub fn delay(&self, command: &str, delay: Duration) {
        self.options.lock().unwrap().delays.insert(command.to_owned(), delay);
    }

    /// From now on the command fails that has this first word, or is this.
    pub fn fail(&self, command: &str) {
        self.options.lock().unwrap().failures.push(command.to_owned());
    }

    /// Ends it in good order: sockets go, instances are neither stopped nor reset.
    pub fn exit(self) {
        let sockets = self.options.lock().unwrap().sockets.clone();
        drop(self);
        let _ = fs::remove_dir_all(sockets);
    }

    /// Kills it.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Micad {
    fn drop(&mut self) {
        self.life = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
