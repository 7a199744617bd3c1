//! Pause and Resume: the core halts where it is, and goes on from there.

use super::{Container, State};
use crate::error::Error;
use crate::events::Event;
use crate::pedestal::{Control, MachineError};

const NO_PAUSE: &str = "this container has no core to pause";

impl Container {
    /// Halts the core. Its console is silent until it goes on, and loses nothing.
    pub fn pause(&self) -> Result<(), Error> {
        let _turn = self.turn();
        self.switch("pause", [State::Running, State::Paused], "running", |core| core.pause(), Event::Paused)
    }

    /// Lets a halted core go on.
    pub fn resume(&self) -> Result<(), Error> {
        let _turn = self.turn();
        self.go_on()
    }

    /// Resume, for who holds the turn.
    pub(super) fn go_on(&self) -> Result<(), Error> {
        self.switch("resume", [State::Paused, State::Running], "paused", |core| core.resume(), Event::Resumed)
    }

    /// Does `act` in between. The lock is free meanwhile, as the core may end at any time: then its end stands.
    fn switch(
        &self,
        action: &'static str,
        [from, to]: [State; 2],
        needed: &'static str,
        act: fn(&dyn Control) -> Result<(), MachineError>,
        event: Event,
    ) -> Result<(), Error> {
        let wrong = |state| Error::State { id: self.id.clone(), action, state, needed };
        let control = {
            let inner = self.lock();
            if inner.state != from {
                return Err(wrong(inner.state));
            }
            inner.control.clone().ok_or(Error::Unsupported(NO_PAUSE))?
        };
        let acted = act(&*control);
        let mut inner = self.lock();
        if inner.state != from {
            return Err(wrong(inner.state));
        }
        acted?;
        inner.state = to;
        self.publish(event);
        Ok(())
    }
}
