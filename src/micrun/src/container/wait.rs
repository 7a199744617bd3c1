//! Wait: any number of waiters, before and after the end. A waiter is an entry in a list, not a blocked thread.

use super::{Container, State};
use crate::reactor::Ended;

/// Somebody who wants to know how a container ends.
pub trait Waiter: Send {
    /// True if nobody is there to be told any more.
    fn gone(&self) -> bool;
    /// Tells. Must not block.
    fn tell(self: Box<Self>, ended: Ended);
}

impl Container {
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
