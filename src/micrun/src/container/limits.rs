//! What a container's core may have of the host, and how that came about.

use serde_json::{Map, Value};

use crate::config::{Config, Key};
use crate::error::Error;
use crate::pedestal::cpus;
use crate::resources::{self, CpuList, Driver, Oci, Plan, PlanError, Policy};
use firmware::board::WINDOW_LEN;
use firmware::elf::Elf;

/// Limits of one container.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) driver: Driver,
    policy: Policy,
    /// Updates are heard and change nothing.
    fixed: bool,
    /// OCI's `linux.resources`: what it was made with, and what Updates have changed since.
    given: Value,
    /// Bytes that the firmware cannot do without.
    needs: u64,
    /// What comes of them.
    pub(super) plan: Plan,
}

impl Limits {
    /// The limits that `given`, OCI's `linux.resources`, asks for.
    pub(super) fn new(driver: Driver, config: &Config, given: Value) -> Result<Limits, Error> {
        let ignored = resources::unhonoured(&given, driver.honours());
        if !ignored.is_empty() {
            // The kubelet sets shares on every container, whatever it is.
            log::info!("not honoured by {driver}: {}", ignored.join(", "));
        }
        let (policy, fixed) = (config.policy(), config.is_on(Key::Static));
        Limits { driver, policy, fixed, given, needs: 0, plan: Plan::default() }.planned()
    }

    /// Proves that `firmware` can do with them, now and after an Update. A domain of Xen has memory beside its firmware's.
    pub(super) fn check(&mut self, firmware: &[u8]) -> Result<(), Error> {
        // A file of another kind is its pedestal's to judge.
        let Ok(elf) = Elf::parse(firmware) else { return Ok(()) };
        if self.driver != Driver::Xen {
            let segments = elf.segments().iter().map(|segment| segment.mem_len);
            self.needs = segments.fold(WINDOW_LEN, u64::saturating_add);
        }
        Ok(self.suffices()?)
    }

    fn suffices(&self) -> Result<(), PlanError> {
        match self.plan.group.memory {
            Some(limit) if limit < self.needs => Err(PlanError::Needs { limit, needs: self.needs }),
            _ => Ok(()),
        }
    }

    /// The limits after an Update; `None` if it changes nothing.
    pub(super) fn changed(&self, wanted: &Map<String, Value>) -> Result<Option<Limits>, Error> {
        if self.fixed {
            log::info!("an update of resources changes nothing: resources.static is on");
            return Ok(None);
        }
        let fixed = resources::changed(wanted, &self.given, self.driver.changes());
        if !fixed.is_empty() {
            return Err(Error::Fixed { driver: self.driver, fields: fixed.join(", ") });
        }
        let given = resources::merged(&self.given, wanted);
        let changed = Limits { given, ..self.clone() }.planned()?;
        Ok(Some(changed).filter(|changed| changed.plan != self.plan))
    }

    /// The limits with `pool` as the CPUs of all containers of the pod; `None` if that changes nothing.
    pub(super) fn pooled(&self, pool: Option<&CpuList>) -> Result<Option<Limits>, Error> {
        let policy = Policy { pool: pool.cloned(), ..self.policy.clone() };
        let pooled = Limits { policy, ..self.clone() }.planned()?;
        Ok(Some(pooled).filter(|pooled| pooled.plan != self.plan))
    }

    /// A core of the board is on its CPU, whoever shares what.
    pub(super) fn is_in_pool(&self) -> bool {
        self.policy.shared_pool && self.driver != Driver::Core
    }

    fn planned(mut self) -> Result<Limits, Error> {
        let online = cpus::online().map_err(|error| Error::System { what: "cpus of the host", error })?;
        self.plan = resources::plan(&Oci::parse(&self.given)?, &self.policy, &online)?;
        self.suffices()?;
        Ok(self)
    }
}
