//! Update: a container's resources, all that are asked for or none.

use serde_json::{Map, Value};

use super::{Container, State};
use crate::error::Error;
use crate::resources::OciError;

const NO_CORE: &str = "this container has no core whose resources could be changed";

impl Container {
    /// Applies `resources`, OCI's `LinuxResources` in JSON: all of them or none. What is absent, empty, zero, or as the
    /// container has it, changes nothing.
    pub fn update(&self, resources: &[u8]) -> Result<(), Error> {
        let wanted: Map<String, Value> = serde_json::from_slice(resources).map_err(OciError::from)?;
        let _turn = self.turn();
        let (limits, control) = {
            let inner = self.lock();
            match inner.state {
                // Start has to find the old limits or the new ones, so it is not let in between.
                State::Created | State::Running | State::Paused => {}
                state => {
                    let (action, needed) = ("update", "created, running or paused");
                    return Err(Error::State { id: self.id.clone(), action, state, needed });
                }
            }
            let changed = match &inner.limits {
                Some(limits) => limits.changed(&wanted)?,
                None if wanted.is_empty() => None,
                None => return Err(Error::Unsupported(NO_CORE)),
            };
            let Some(limits) = changed else { return Ok(()) };
            (limits, inner.control.clone())
        };
        if let Some(control) = control {
            control.limit(&limits.plan.core)?;
        }
        self.lock().limits = Some(limits);
        Ok(())
    }
}
