//! Wait: any number of waiters, before and after the end. A waiter is an entry in a list, not a blocked thread.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::{Container, State};
use crate::reactor::Ended;

/// Somebody who wants to know how a container ends.
pub trait Waiter: Send {
    /// True if nobody is there to be told any more.
    fn gone(&self) -> bool;
    /// Tells. Must not block.
    fn tell(self: Box<Self>, ended: Ended);
}

/// A waiter on a thread of this process.
struct Thread {
    told: Sender<Ended>,
}

impl Waiter for Thread {
    fn gone(&self) -> bool {
        false
    }

    fn tell(self: Box<Self>, ended: Ended) {
        // Fails only if the thread has given up.
        let _ = self.told.send(ended);
    }
}

impl Container {
    /// Blocks until the container has ended, at most `deadline`.
    pub fn wait_for(&self, deadline: Duration) -> Option<Ended> {
        let (told, ended) = channel();
        self.wait(Box::new(Thread { told }));
        ended.recv_timeout(deadline).ok()
    }

    /// Has `waiter` told of the end, at once if the container has ended. Delete ends a container that never ran, so
    /// every waiter is told.
    pub fn wait(&self, waiter: Box<dyn Waiter>) {
        let mut inner = self.lock();
        if let State::Stopped(ended) = inner.state {
            return waiter.tell(ended);
        }
        // Clients attach and detach for years; those that left are not kept.
        inner.waiters.retain(|waiter| !waiter.gone());
        inner.waiters.push(waiter);
    }
}
