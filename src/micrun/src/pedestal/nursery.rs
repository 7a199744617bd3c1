//! The one thread that starts child processes.
//!
//! An emulator must not outlive the shim, so it asks the kernel to be killed with its parent (`PR_SET_PDEATHSIG`). The
//! kernel takes "parent" to be the *thread* that forked, and the threads that serve requests come and go. So children
//! are started by the main thread, which lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::queue::{Receiver, Sender, channel};
use crate::sys::{self, Hold, Step};

/// What the main thread is asked for.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Start this program and hand the child over.
    Spawn(Box<Command>, Sender<io::Result<Child>>),
    /// Make a process that holds namespaces.
    Hold(Box<Hold>, Sender<Held>),
    /// End the process with this exit code.
    Exit(i32),
}

/// The pid of the process that holds namespaces, or at which step it failed.
pub(crate) type Held = Result<u32, (Step, io::Error)>;

/// Hands chores to the main thread.
#[derive(Clone, Debug)]
pub struct Nursery {
    chores: Sender<Chore>,
}

impl Nursery {
    /// A nursery, and the queue that the main thread has to [`work`] on.
    pub(crate) fn new() -> (Nursery, Receiver<Chore>) {
        let (chores, queue) = channel();
        (Nursery { chores }, queue)
    }

    /// Starts a program as a child of the main thread.
    pub fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, child) = channel();
        let gone = || io::Error::other("the shim is ending");
        self.chores.send(Chore::Spawn(Box::new(command), answer)).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }

    /// Makes a process that holds namespaces as a child of the main thread.
    pub(crate) fn hold(&self, wanted: Hold) -> Held {
        let (answer, held) = channel();
        let gone = || (Step::Fork, io::Error::other("the shim is ending"));
        self.chores.send(Chore::Hold(Box::new(wanted), answer)).map_err(|_| gone())?;
        held.recv().map_err(|_| gone())?
    }

    /// Ends the process once the chores before are done.
    pub fn exit(&self, code: i32) {
        // Nobody listening means that the process is ending already.
        let _ = self.chores.send(Chore::Exit(code));
    }
}

/// The main thread's work until the process is to end; gives the exit code. If there is nothing to do before
/// `deadline`, `unused` is asked whether there is any point in going on.
pub(crate) fn work(queue: &Receiver<Chore>, deadline: Duration, unused: impl FnOnce() -> bool) -> i32 {
    let first = match queue.recv_timeout(deadline) {
        Err(RecvTimeoutError::Timeout) if unused() => return 0,
        first => first.ok(),
    };
    first.into_iter().chain(queue.iter()).find_map(do_chore).unwrap_or(0)
}

/// Does one chore; the exit code if it was the last one.
fn do_chore(chore: Chore) -> Option<i32> {
    match chore {
        Chore::Spawn(mut command, answer) => {
            // A caller that gave up waiting drops the child, which then ends with us.
            let _ = answer.send(command.spawn());
            None
        }
        Chore::Hold(wanted, answer) => {
            // As above: nobody is left who wants it.
            let _ = answer.send(sys::hold(&wanted));
            None
        }
        Chore::Exit(code) => Some(code),
    }
}
