//! From what OCI says of a Linux process to what a core is to have: `docs/reference/resources.md` is the table, and its
//! examples are tests of this module.
//!
//! Nothing here touches the system: what the host has comes in, limits and what cannot be honoured come out.

mod cpu_list;
mod driver;
mod oci;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

pub use cpu_list::CpuList;
pub use driver::Driver;
pub use oci::{Oci, OciError, changed, merged, unhonoured};
pub use plan::{GroupLimits, Image, Plan, PlanError, Policy, plan};

/// What a core is to have, in the terms of a hypervisor that has them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreLimits {
    /// Virtual CPUs at the start, at least 1.
    pub vcpus: u32,
    /// Most virtual CPUs that it can be given later, at least `vcpus`.
    pub max_vcpus: u32,
    /// Share of CPU time, 1 to 65535; 256 is an ordinary one.
    pub cpu_weight: u32,
    /// Limit of CPU time in percent of one CPU; 0 is none.
    pub cpu_capacity: u32,
    /// Memory in MiB, at least 1.
    pub memory: u32,
    /// Most memory in MiB, at least `memory`.
    pub max_memory: u32,
    /// The host's CPUs that it may run on; any if absent.
    pub cpus: Option<CpuList>,
}
