//! Delete: streams are closed, the root file system is unmounted, the record is gone.

use std::time::Duration;

use super::kill::STATUS_KILLED;
use super::{Container, State};
use crate::error::Error;
use crate::events::Event;
use crate::reactor::Ended;
use crate::store::{self, Record};

/// A little more than the session's own deadline for its last output.
const CLOSE_DEADLINE: Duration = Duration::from_millis(1500);

impl Container {
    /// Checks that the container can be deleted, and makes sure that it can do nothing else any more.
    pub fn begin_delete(&self) -> Result<Ended, Error> {
        let mut inner = self.lock();
        match inner.state {
            State::Stopped(ended) => Ok(ended),
            State::Created => {
                let ended = store::unknown_end(STATUS_KILLED);
                inner.prepared = None;
                self.stop(&mut inner, ended);
                Ok(ended)
            }
            state => {
                let (action, needed) = ("delete", "created or stopped");
                Err(Error::State { id: self.id.clone(), action, state, needed })
            }
        }
    }

    /// Removes what is left of it. A reader that does not read delays this for a bounded time only.
    pub fn finish_delete(&self, ended: Ended) {
        let (session, group, rootfs) = {
            let mut inner = self.lock();
            (inner.session.take(), inner.group.take(), inner.rootfs.take())
        };
        if let Some(session) = session {
            self.surroundings.reactor.close(session, CLOSE_DEADLINE);
        }
        // Nothing runs in it any more.
        drop(group);
        drop(rootfs);
        Record::remove(&self.bundle);
        self.publish(Event::Delete(ended));
    }
}
