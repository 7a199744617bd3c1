//! Kill: what signals mean to a core.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGKILL | power is cut at once; a container that was never started ends, or clients could not delete it |
//! | SIGTERM, SIGINT, SIGQUIT, SIGHUP | the firmware is asked to power itself off; a paused core goes on first |
//! | SIGSTOP, SIGCONT | Pause and Resume |
//! | others | refused: an RTOS has no signals |
//!
//! A signal that comes while the core is being started is delivered as soon as it runs; SIGKILL ends the start as well.

use super::{Container, Prepared, State};
use crate::error::Error;
use crate::reactor::SessionId;
use crate::store;

/// Exit status of a container that SIGKILL ended, or that was deleted, before it ran, as runc's shim has it.
pub(super) const STATUS_KILLED: u32 = 128 + libc::SIGKILL as u32;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// The firmware is to power itself off.
    Orderly,
    /// Power is cut.
    AtOnce,
}

impl Stop {
    fn of(signal: u32) -> Result<Stop, Error> {
        match i32::try_from(signal).unwrap_or(0) {
            libc::SIGKILL => Ok(Stop::AtOnce),
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => Ok(Stop::Orderly),
            _ => Err(Error::Signal(signal)),
        }
    }

    /// Exit status of what does nothing but end at it.
    pub(super) fn status(self) -> u32 {
        match self {
            Stop::Orderly => 128 + libc::SIGTERM as u32,
            Stop::AtOnce => STATUS_KILLED,
        }
    }
}

impl Container {
    /// Translates a signal. Returns at once; the end is told by TaskExit.
    pub fn kill(&self, signal: u32) -> Result<(), Error> {
        match i32::try_from(signal) {
            Ok(libc::SIGSTOP) => return self.halt(State::Paused, Container::pause),
            Ok(libc::SIGCONT) => return self.halt(State::Running, Container::resume),
            _ => {}
        }
        // An orderly end needs a core that executes, and that no Pause halts meanwhile.
        let turn = Stop::of(signal).is_ok_and(|stop| stop == Stop::Orderly).then(|| self.turn());
        if turn.is_some() && self.state() == State::Paused {
            self.go_on()?;
        }
        let mut inner = self.lock();
        match (inner.state, inner.session) {
            (State::Stopped(_), _) => return Err(Error::Ended(self.id.clone())),
            (State::Running | State::Paused, Some(session)) => self.deliver(session, Stop::of(signal)?),
            (State::Running, None) => self.end_infra(&mut inner, Stop::of(signal)?),
            (State::Created, _) if Stop::of(signal)? == Stop::AtOnce => {
                inner.prepared = None;
                self.end(&mut inner, store::unknown_end(STATUS_KILLED));
            }
            // Kept until the core runs; of several the strongest.
            (State::Starting, _) => inner.pending = inner.pending.max(Some(Stop::of(signal)?)),
            (state, _) => {
                let (action, needed) = ("an orderly stop", "running");
                return Err(Error::State { id: self.id.clone(), action, state, needed });
            }
        }
        Ok(())
    }

    /// SIGSTOP or SIGCONT: what is so already is no mistake.
    fn halt(&self, already: State, action: fn(&Container) -> Result<(), Error>) -> Result<(), Error> {
        match self.state() {
            State::Stopped(_) => Err(Error::Ended(self.id.clone())),
            state if state == already => Ok(()),
            _ => action(self),
        }
    }

    pub(super) fn deliver(&self, session: SessionId, stop: Stop) {
        match stop {
            Stop::AtOnce => self.surroundings.reactor.cut_power(session),
            Stop::Orderly => self.surroundings.reactor.power_off(session),
        }
    }

    /// No more input will come. Fine in every state and for containers without input.
    pub fn close_input(&self) {
        let mut inner = self.lock();
        if let Some(session) = inner.session {
            self.surroundings.reactor.close_input(session);
        } else if let Some(Prepared::Core(core)) = &mut inner.prepared
            && let Some(input) = &mut core.console.input
        {
            input.close();
        }
    }
}
