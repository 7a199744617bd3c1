//! Wait: any number of waiters, before and after the end.

use super::{Container, State};
use crate::reactor::Ended;

impl Container {
    /// Blocks until the container has ended. Delete ends a container that never ran, so this always returns.
    pub fn wait(&self) -> Ended {
        let mut inner = self.lock();
        loop {
            if let State::Stopped(ended) = inner.state {
                return ended;
            }
            inner = self.stopped.wait(inner).unwrap();
        }
    }
}
