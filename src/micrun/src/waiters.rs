//! Those who want to know how something ends: any number of them, entries in a list and not blocked threads.

use std::fmt;

use crate::reactor::Ended;

/// Somebody who wants to know how something ends.
pub trait Waiter: Send {
    /// True if nobody is there to be told any more.
    fn gone(&self) -> bool;
    /// Tells. Must not block.
    fn tell(self: Box<Self>, ended: Ended);
}

/// All that wait for one end.
#[derive(Default)]
pub struct Waiters(Vec<Box<dyn Waiter>>);

impl Waiters {
    /// One more. Clients attach and detach for years; those that left are not kept.
    pub fn add(&mut self, waiter: Box<dyn Waiter>) {
        self.0.retain(|waiter| !waiter.gone());
        self.0.push(waiter);
    }

    /// Tells all of them.
    pub fn tell(&mut self, ended: Ended) {
        for waiter in self.0.drain(..) {
            waiter.tell(ended);
        }
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waiters", self.0.len())
    }
}
