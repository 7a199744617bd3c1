//! What happens to containers, in the order in which it happens.
//!
//! Start, pauses and exit are put into the queue under the container's lock, create before anybody else knows the container,
//! delete after nobody can do anything with it: so they are in that order. `service::publish` empties the queue.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::console::Streams;
use crate::queue::{Receiver, Sender, channel};
use crate::reactor::Ended;

/// What happens to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was created.
    Create {
        /// Its bundle.
        bundle: PathBuf,
        /// Its streams.
        streams: Streams,
    },
    /// It was started.
    Start,
    /// Its core was halted.
    Paused,
    /// Its core goes on.
    Resumed,
    /// Its process was killed for want of memory; its end follows.
    OutOfMemory,
    /// It has ended.
    Exit(Ended),
    /// It was deleted.
    Delete(Ended),
}

/// What is in the queue.
#[derive(Debug)]
pub enum Item {
    /// An event of the container with that id and pid, and when it happened.
    Event {
        /// Which container.
        id: String,
        /// The process that containerd was told of.
        pid: u32,
        /// When.
        at: SystemTime,
        /// What.
        event: Event,
    },
    /// Answered by dropping the sender when everything before it is dealt with.
    Flush(Sender<()>),
}

/// Puts events into the queue.
#[derive(Clone, Debug)]
pub struct Events {
    queue: Sender<Item>,
}

impl Events {
    /// A queue and its other end.
    pub fn new() -> (Events, Receiver<Item>) {
        let (queue, items) = channel();
        (Events { queue }, items)
    }

    /// Queues an event. Never blocks. There are four per container, and pauses, which are asked for by the
    /// same containerd that takes events: so the queue is bounded by what it asked for.
    pub fn publish(&self, id: &str, pid: u32, event: Event) {
        // A shim without an event endpoint has nobody at the other end, and nobody misses the event.
        let _ = self.queue.send(Item::Event { id: id.to_owned(), pid, at: SystemTime::now(), event });
    }

    /// Waits until everything queued so far is dealt with, at most `deadline`.
    pub fn flush(&self, deadline: Duration) {
        let (done, flushed) = channel();
        let _ = self.queue.send(Item::Flush(done));
        // Nothing is ever sent: the answer is that the sender is dropped.
        let _ = flushed.recv_timeout(deadline);
    }
}
