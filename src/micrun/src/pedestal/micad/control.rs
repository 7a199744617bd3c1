//! What can be done to an instance that runs: everything to a Xen domain, nothing to the others.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::super::{Control, MachineError};
use super::client::MicadError;
use super::message::Create;
use super::sockets::Sockets;
use super::xl;
use crate::resources::CoreLimits;
use firmware::client_conf::Pedestal;

/// micad has a tool of Xen's run for each change.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a command that micad is sure to read as it is meant.
const LONGEST: usize = 31;
/// `xl`'s word for no pinning.
const ALL_CPUS: &str = "all";
const NO_PAUSE: &str = "of micad's cores only a xen domain can be paused";
const NO_CHANGE: &str = "of micad's cores only a xen domain can be given other resources";

/// A change of one resource, in micad's units. Displayed as the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The host's CPUs that all virtual ones run on, a list.
    Cpus(String),
    /// Virtual CPUs.
    Vcpus(u32),
    /// Share of CPU time, 1 to 65535.
    CpuWeight(u32),
    /// Percent of one CPU; 0 is no limit.
    CpuCapacity(u32),
    /// MiB.
    Memory(u32),
    /// MiB.
    MaxMemory(u32),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Cpus(list) => write!(f, "set CPU {list}"),
            Setting::Vcpus(number) => write!(f, "set VCPU {number}"),
            Setting::CpuWeight(weight) => write!(f, "set CPUWeight {weight}"),
            Setting::CpuCapacity(percent) => write!(f, "set CPUCapacity {percent}"),
            Setting::Memory(mib) => write!(f, "set Memory {mib}"),
            Setting::MaxMemory(mib) => write!(f, "set MaxMemory {mib}"),
        }
    }
}

impl Setting {
    /// The command, if micad reads all of it.
    pub fn command(&self) -> Result<String, MicadError> {
        let command = self.to_string();
        if command.len() > LONGEST {
            return Err(MicadError::Long { len: command.len(), command });
        }
        Ok(command)
    }
}

/// What has to be set on the way from `now` to `then`. The most memory there can be is never less than what there is.
/// `unpinned` is where it runs if no limit says so.
fn changes(now: &CoreLimits, then: &CoreLimits, unpinned: &str) -> Vec<Setting> {
    let cpus = then.cpus.as_ref().map_or_else(|| unpinned.to_owned(), ToString::to_string);
    let mut memory = [
        (now.max_memory != then.max_memory, Setting::MaxMemory(then.max_memory)),
        (now.memory != then.memory, Setting::Memory(then.memory)),
    ];
    if then.max_memory < now.max_memory {
        memory.reverse();
    }
    let others = [
        (now.cpu_capacity != then.cpu_capacity, Setting::CpuCapacity(then.cpu_capacity)),
        (now.cpu_weight != then.cpu_weight, Setting::CpuWeight(then.cpu_weight)),
        (now.vcpus != then.vcpus, Setting::Vcpus(then.vcpus)),
        (now.cpus != then.cpus, Setting::Cpus(cpus)),
    ];
    let changed = memory.into_iter().chain(others).filter(|(changed, _)| *changed);
    changed.map(|(_, setting)| setting).collect()
}

/// The handle for requests.
#[derive(Debug)]
pub struct InstanceControl {
    name: String,
    sockets: Sockets,
    xen: bool,
    /// Where it runs if no limit says so.
    unpinned: String,
    /// What it has now.
    limits: Mutex<CoreLimits>,
}

impl InstanceControl {
    pub(super) fn new(create: &Create, sockets: Sockets, limits: CoreLimits) -> InstanceControl {
        let image_s = Some(&create.cpus).filter(|cpus| limits.cpus.is_none() && !cpus.is_empty());
        InstanceControl {
            name: create.name.clone(),
            sockets,
            xen: create.pedestal == Pedestal::Xen,
            unpinned: image_s.map_or(ALL_CPUS, String::as_str).to_owned(),
            limits: Mutex::new(limits),
        }
    }

    /// Changes resources, one after the other up to the first that is refused. All are checked before any is changed.
    pub fn set(&self, settings: &[Setting]) -> Result<(), MachineError> {
        if !self.xen {
            return Err(MachineError::Unsupported(NO_CHANGE));
        }
        let commands = settings.iter().map(Setting::command).collect::<Result<Vec<_>, _>>()?;
        for command in commands {
            self.sockets.command(&command, PATIENCE, &|| false)?;
        }
        Ok(())
    }
}

impl Control for InstanceControl {
    fn pause(&self) -> Result<(), MachineError> {
        if self.xen { xl::command("pause", &self.name) } else { Err(MachineError::Unsupported(NO_PAUSE)) }
    }

    fn resume(&self) -> Result<(), MachineError> {
        if self.xen { xl::command("unpause", &self.name) } else { Err(MachineError::Unsupported(NO_PAUSE)) }
    }

    fn limit(&self, limits: &CoreLimits) -> Result<(), MachineError> {
        // Of the others there is nothing that could be limited, and nothing that was asked for.
        if self.xen {
            let mut now = self.limits.lock().unwrap();
            // micad stops at the first that Xen refuses; what it had, it can have again.
            let changes = |now, then| changes(now, then, &self.unpinned);
            self.set(&changes(&now, limits)).inspect_err(|_| drop(self.set(&changes(limits, &now))))?;
            *now = limits.clone();
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        if self.xen { u64::from(self.limits.lock().unwrap().memory) << 20 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_set_and_memory_in_the_order_that_can_be() {
        let now = CoreLimits { vcpus: 1, memory: 64, max_memory: 64, ..CoreLimits::default() };
        let changes = |now: &CoreLimits, then: &CoreLimits| changes(now, then, ALL_CPUS);
        assert_eq!(changes(&now, &now), []);
        let more = CoreLimits { memory: 128, max_memory: 128, cpu_weight: 512, ..now.clone() };
        let up = [Setting::MaxMemory(128), Setting::Memory(128), Setting::CpuWeight(512)];
        assert_eq!(changes(&now, &more), up);
        assert_eq!(changes(&more, &now)[..2], [Setting::Memory(64), Setting::MaxMemory(64)]);
        let pinned = CoreLimits { cpus: crate::resources::CpuList::parse("0,2-3"), ..now.clone() };
        assert_eq!(changes(&now, &pinned), [Setting::Cpus("0,2-3".to_owned())]);
        assert_eq!(changes(&pinned, &now), [Setting::Cpus("all".to_owned())]);
    }

    #[test]
    fn a_command_that_micad_would_cut_is_refused() {
        let long = Setting::Cpus("0,2,4,6,8,10,12,14,16,18".to_owned()).command().expect_err("refused");
        let sentence =
            "micad reads at most 31 bytes of a command, and \"set CPU 0,2,4,6,8,10,12,14,16,18\" has 32";
        assert_eq!(long.to_string(), sentence);
        let longest = Setting::Cpus("0,2,4,6,8,10,12,14,1618".to_owned()).command().expect("fits");
        assert_eq!(longest.len(), 31);
        assert_eq!(Setting::CpuCapacity(u32::MAX).command().expect("fits"), "set CPUCapacity 4294967295");
    }
}
