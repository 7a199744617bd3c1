//! Wait: before and after the end.

use std::time::Duration;

use super::{Container, State};
use crate::queue::{Sender, channel};
use crate::reactor::Ended;
use crate::waiters::Waiter;

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
        inner.waiters.add(waiter);
    }
}
