//! Update: a container's resources, all that are asked for or none.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::limits::Limits;
use super::{Container, State};
use crate::error::Error;
use crate::pedestal::group::Group;
use crate::pedestal::{Control, MachineError, Process};
use crate::resources::{CpuList, Driver, GroupLimits, OciError};

const NO_CORE: &str = "this container has no core whose resources could be changed";
const NO_GROUP: &str = "this container's emulator has no control group that could be changed";

/// Makes new limits of the present ones; `None` if all is to stay as it is.
type Change<'c> = dyn Fn(Option<&Limits>) -> Result<Option<Limits>, Error> + 'c;

/// What takes limits while the container is in its state.
struct Takers {
    group: Option<Arc<Group>>,
    process: Option<Process>,
    control: Option<Arc<dyn Control>>,
}

impl Container {
    /// Applies `resources`, OCI's `LinuxResources` in JSON: all of them or none. What is absent, empty, zero, or as the
    /// container has it, changes nothing.
    pub fn update(&self, resources: &[u8]) -> Result<(), Error> {
        let wanted: Map<String, Value> = serde_json::from_slice(resources).map_err(OciError::from)?;
        self.change(&|limits| match limits {
            Some(limits) => limits.changed(&wanted),
            None if wanted.is_empty() => Ok(None),
            None => Err(Error::Unsupported(NO_CORE)),
        })
    }

    /// True if it runs on the CPUs of all containers of its pod.
    pub fn shares_cpus(&self) -> bool {
        self.lock().limits.as_ref().is_some_and(Limits::is_in_pool)
    }

    /// The CPUs that it was given itself.
    pub fn own_cpus(&self) -> Option<CpuList> {
        self.lock().limits.as_ref()?.plan.own.clone()
    }

    /// Gives it the CPUs of all containers of its pod. One that has ended, or is just being started, is left alone.
    pub fn share_cpus(&self, pool: Option<&CpuList>) -> Result<(), Error> {
        let shared = self.change(&|limits| limits.map_or(Ok(None), |limits| limits.pooled(pool)));
        if matches!(shared, Err(Error::State { .. })) { Ok(()) } else { shared }
    }

    /// Gives it the limits that `change` makes of those that it has, if any.
    fn change(&self, change: &Change<'_>) -> Result<(), Error> {
        let _turn = self.turn();
        let (old, new, takers) = {
            let mut inner = self.lock();
            let created = match inner.state {
                State::Created => true,
                State::Running | State::Paused => false,
                state => {
                    let (action, needed) = ("update", "created, running or paused");
                    return Err(Error::State { id: self.id.clone(), action, state, needed });
                }
            };
            let old = inner.limits.clone();
            let Some(new) = change(old.as_ref())? else { return Ok(()) };
            // Without limits there is nothing that could have changed.
            let Some(old) = old else { return Ok(()) };
            let (group, process, control) = (inner.group.clone(), inner.process, inner.control.clone());
            let takers = Takers { group, process, control };
            if created {
                // Under the lock, as Start has to find the new limits everywhere or nowhere.
                takers.take(&old, &new)?;
                inner.limits = Some(new);
                return Ok(());
            }
            (old, new, takers)
        };
        takers.take(&old, &new)?;
        self.lock().limits = Some(new);
        Ok(())
    }
}

impl Takers {
    /// On an error everything is as it was.
    fn take(&self, old: &Limits, new: &Limits) -> Result<(), Error> {
        if new.driver == Driver::Qemu && old.plan.group != new.plan.group {
            self.take_group(&new.plan.group).inspect_err(|_| self.restore(old))?;
        }
        let limited = self.control.as_ref().map_or(Ok(()), |control| control.limit(&new.plan.core));
        Ok(limited.inspect_err(|_| self.restore(old))?)
    }

    fn take_group(&self, limits: &GroupLimits) -> Result<(), MachineError> {
        let group = self.group.as_ref().ok_or(MachineError::Unsupported(NO_GROUP))?;
        let applied = match self.process {
            Some(process) => group.apply(limits, Some(process.pid)),
            // Start does the rest.
            None => group.apply(&limits.at_start(), None),
        };
        Ok(applied?)
    }

    /// What it had, it can have again; if not, that is no worse than the error that is told.
    fn restore(&self, old: &Limits) {
        if let Some(group) = &self.group {
            let limits = old.plan.group;
            let _ = group.apply(&if self.process.is_some() { limits } else { limits.at_start() }, None);
        }
    }
}
