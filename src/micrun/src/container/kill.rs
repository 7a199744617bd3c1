//! Kill: what signals mean to a core.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGKILL | power is cut at once; a container that was never started ends, or clients could not delete it |
//! | SIGTERM, SIGINT, SIGQUIT, SIGHUP | the firmware is asked to power itself off |
//! | others | refused: an RTOS has no signals |

use super::{Container, State};
use crate::error::Error;
use crate::store;

/// Exit status of a container that SIGKILL ended, or that was deleted, before it ran, as runc's shim has it.
pub(super) const STATUS_NEVER_RAN: u32 = 128 + libc::SIGKILL as u32;

impl Container {
    /// Translates a signal. Returns at once; the end is told by TaskExit.
    pub fn kill(&self, signal: u32) -> Result<(), Error> {
        let mut inner = self.lock();
        let session = match (inner.state, inner.session) {
            (State::Running, Some(session)) => session,
            (State::Stopped(_), _) => return Err(Error::Ended(self.id.clone())),
            (State::Created, _) if signal == libc::SIGKILL as u32 => {
                inner.prepared = None;
                self.end(&mut inner, store::unknown_end(STATUS_NEVER_RAN));
                return Ok(());
            }
            (state, _) => {
                let (action, needed) = ("kill", "running");
                return Err(Error::State { id: self.id.clone(), action, state, needed });
            }
        };
        match i32::try_from(signal).unwrap_or(0) {
            libc::SIGKILL => self.surroundings.reactor.cut_power(session),
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => {
                self.surroundings.reactor.power_off(session);
            }
            _ => return Err(Error::Signal(signal)),
        }
        Ok(())
    }

    /// No more input will come. Fine in every state and for containers without input.
    pub fn close_input(&self) {
        if let Some(session) = self.lock().session {
            self.surroundings.reactor.close_input(session);
        }
    }
}
