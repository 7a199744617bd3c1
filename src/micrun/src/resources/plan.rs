//! The formulas.

use super::oci::{Cpu, Memory, Oci};
use super::{CoreLimits, CpuList};

/// Weight of an ordinary container: Xen's own default, and what OCI's ordinary 1024 shares give.
const WEIGHT: u32 = 256;
/// Shares of one unit of weight.
const SHARES_PER_WEIGHT: u64 = 4;
/// The kernel's period where none is given, microseconds.
const PERIOD: u64 = 100_000;
/// Memory where nobody says how much, MiB.
const MEMORY: u32 = 32;
const MIB: u64 = 1 << 20;
/// From here on a limit is somebody's word for none: Go's, C's and the kernel's largest numbers are all above.
const UNLIMITED: i64 = 1 << 60;

/// What the node and the container's own settings allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The node's limit of virtual CPUs per core.
    pub node_max_vcpus: u32,
    /// The node's limit of memory, MiB.
    pub node_max_memory: Option<u32>,
    /// The node's memory where nobody says how much, MiB.
    pub default_memory: Option<u32>,
    /// The host's CPUs that RTOS may run on; any if absent.
    pub rtos_cpus: Option<CpuList>,
    /// Whether a container runs on the CPUs of its cpuset only, or is as wide.
    pub pin: bool,
    /// Whether the containers of a pod run on each other's CPUs as well.
    pub shared_pool: bool,
    /// Those of all of them, if they do.
    pub pool: Option<CpuList>,
    /// The container's own limit of virtual CPUs.
    pub max_vcpus: Option<u32>,
    /// Memory that the container wants where it has no limit, MiB.
    pub min_memory: Option<u32>,
    /// What the image says.
    pub image: Image,
}

/// What an image's `client.conf` says for the case that nobody else does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `VCPU`.
    pub vcpus: Option<u32>,
    /// `CPUWeight`.
    pub cpu_weight: Option<u32>,
    /// `CPUCapacity`.
    pub cpu_capacity: Option<u32>,
    /// `Memory`.
    pub memory: Option<u32>,
    /// `MaxMemory`.
    pub max_memory: Option<u32>,
}

/// What a process of the host that plays the core is to have, in the units of control groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Relative share of CPU time, 1024 is an ordinary one.
    pub shares: Option<u64>,
    /// Microseconds of CPU time in each period; none: unlimited.
    pub quota: Option<u64>,
    /// That period.
    pub period: Option<u64>,
    /// Bytes of memory of the core itself; none: unlimited.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together, at least `memory`; none: unlimited.
    pub swap: Option<u64>,
}

impl GroupLimits {
    /// Those that hold while the core is being started: a best-effort share would starve its start.
    pub fn at_start(self) -> GroupLimits {
        GroupLimits { memory: self.memory, swap: self.swap, ..GroupLimits::default() }
    }
}

/// Limits of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of a core.
    pub core: CoreLimits,
    /// Of a process that plays one.
    pub group: GroupLimits,
    /// The CPUs of its own cpuset that it may have, and gives to its pod.
    pub own: Option<CpuList>,
}

/// What is asked for cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not a list.
    #[error("cpu.cpus is {value:?}, it must be a list of cpus like 0-2,5")]
    Syntax {
        /// The value, or its beginning.
        value: String,
    },
    /// Not CPUs of this host.
    #[error("cpu.cpus is {value:?}, this host has cpus {online}")]
    Offline {
        /// The value.
        value: String,
        /// What there is.
        online: CpuList,
    },
    /// All of them are Linux's.
    #[error("cpu.cpus is {value:?}, none of them is for rtos: resources.rtos_cpus of the node is {reserved}")]
    NotForRtos {
        /// The value.
        value: String,
        /// What there is.
        reserved: CpuList,
    },
    /// More than the node gives.
    #[error("{what} is {value}, at most {most} is allowed by {limit} of the node")]
    TooMuch {
        /// The field.
        what: &'static str,
        /// Its value.
        value: String,
        /// The most that it can be.
        most: String,
        /// The node's key.
        limit: &'static str,
    },
    /// Less than the firmware is linked to use.
    #[error(
        "memory.limit is {limit} bytes, the firmware needs {needs}: its segments and 128 KiB of shared memory"
    )]
    Needs {
        /// The limit.
        limit: u64,
        /// What it needs.
        needs: u64,
    },
    /// Too little to be anything.
    #[error("{what} is {value}, it must be {least} or more")]
    TooLittle {
        /// The field.
        what: &'static str,
        /// Its value.
        value: i64,
        /// The least that it can be.
        least: String,
    },
}

/// What `oci` asks for under `policy`, on a host with the CPUs `online`.
pub fn plan(oci: &Oci, policy: &Policy, online: &CpuList) -> Result<Plan, PlanError> {
    let cpu = oci.cpu.clone().unwrap_or_default();
    let memory = oci.memory.clone().unwrap_or_default();
    let max_vcpus = max_vcpus(policy)?;
    let asked = cpuset(&cpu, online)?;
    let capacity = capacity(&cpu, policy);
    let vcpus = vcpus(asked.as_ref(), capacity.of_oci, policy).clamp(1, max_vcpus);
    let limit = limit(&memory, policy)?;
    let size = size(limit, &memory, policy);
    let own = asked.filter(|_| policy.pin).map(|asked| place(asked, policy)).transpose()?;
    let cpus = policy.pool.as_ref().filter(|_| policy.pin).or(own.as_ref()).or(policy.rtos_cpus.as_ref());
    let core = CoreLimits {
        vcpus,
        max_vcpus,
        cpu_weight: weight(&cpu, policy),
        cpu_capacity: capacity.effective.min(vcpus * 100),
        memory: size,
        max_memory: policy
            .image
            .max_memory
            .map_or(size, |most| at_most(most, policy.node_max_memory).max(size)),
        cpus: cpus.cloned(),
    };
    let default = policy.default_memory.map(|default| at_most(default, policy.node_max_memory));
    let group_memory = limit.or_else(|| Some(u64::from(default?) * MIB));
    let group = GroupLimits {
        shares: cpu.shares.filter(|shares| *shares > 0),
        quota: quota(&cpu),
        period: period(&cpu),
        memory: group_memory,
        swap: group_memory.and_then(|least| bytes(memory.swap).map(|swap| swap.max(least))),
    };
    Ok(Plan { core, group, own })
}

fn max_vcpus(policy: &Policy) -> Result<u32, PlanError> {
    let most = policy.node_max_vcpus.max(1);
    match policy.max_vcpus {
        Some(value) if value > most => Err(PlanError::TooMuch {
            what: "max_vcpu_num",
            value: value.to_string(),
            most: most.to_string(),
            limit: "resources.max_vcpus",
        }),
        value => Ok(value.unwrap_or(most).max(1)),
    }
}

fn cpuset(cpu: &Cpu, online: &CpuList) -> Result<Option<CpuList>, PlanError> {
    let Some(list) = cpu.cpus.as_deref().filter(|list| !list.is_empty()) else { return Ok(None) };
    let value = || list.chars().take(64).collect();
    let cpus = CpuList::parse(list).ok_or_else(|| PlanError::Syntax { value: value() })?;
    if cpus.within(online) {
        Ok(Some(cpus))
    } else {
        Err(PlanError::Offline { value: value(), online: online.clone() })
    }
}

/// What the node keeps for Linux is not for RTOS, whoever says so.
fn place(asked: CpuList, policy: &Policy) -> Result<CpuList, PlanError> {
    let Some(reserved) = &policy.rtos_cpus else { return Ok(asked) };
    let refused = || PlanError::NotForRtos { value: asked.to_string(), reserved: reserved.clone() };
    asked.and(reserved).ok_or_else(refused)
}

fn vcpus(cpuset: Option<&CpuList>, capacity: Option<u32>, policy: &Policy) -> u32 {
    let time = || capacity.filter(|percent| *percent > 0).map(|percent| percent.div_ceil(100));
    cpuset.map(CpuList::count).or_else(time).or(policy.image.vcpus).unwrap_or(1)
}

/// Limits of CPU time in percent of one CPU.
struct Capacity {
    /// What OCI says; 0 for none, absent if it says nothing.
    of_oci: Option<u32>,
    effective: u32,
}

/// Rounded up: a small quota must not become 0, which is no limit.
fn capacity(cpu: &Cpu, policy: &Policy) -> Capacity {
    let of_oci = cpu.quota.filter(|quota| *quota != 0).map(|_| {
        let period = period(cpu).unwrap_or(PERIOD);
        let percent = quota(cpu).map_or(0, |quota| (u128::from(quota) * 100).div_ceil(period.into()));
        u32::try_from(percent).unwrap_or(u32::MAX)
    });
    Capacity { of_oci, effective: of_oci.or(policy.image.cpu_capacity).unwrap_or(0) }
}

fn quota(cpu: &Cpu) -> Option<u64> {
    cpu.quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0)
}

fn period(cpu: &Cpu) -> Option<u64> {
    cpu.period.filter(|period| *period > 0)
}

fn weight(cpu: &Cpu, policy: &Policy) -> u32 {
    let of_oci = cpu
        .shares
        .filter(|shares| *shares > 0)
        .map(|shares| (shares / SHARES_PER_WEIGHT).clamp(1, u16::MAX.into()) as u32);
    of_oci.or(policy.image.cpu_weight).unwrap_or(WEIGHT)
}

/// The limit of memory in bytes, if there is one.
fn limit(memory: &Memory, policy: &Policy) -> Result<Option<u64>, PlanError> {
    let Some(limit) = bytes(memory.limit) else { return Ok(None) };
    if limit < MIB {
        let least = format!("1 MiB ({MIB})");
        return Err(PlanError::TooLittle { what: "memory.limit", value: limit as i64, least });
    }
    match policy.node_max_memory {
        Some(most) if limit > u64::from(most) * MIB => Err(PlanError::TooMuch {
            what: "memory.limit",
            value: format!("{limit} bytes"),
            most: format!("{most} MiB"),
            limit: "resources.max_memory",
        }),
        _ => Ok(Some(limit)),
    }
}

/// Memory of a core that has to be given some, MiB.
fn size(limit: Option<u64>, memory: &Memory, policy: &Policy) -> u32 {
    let reservation =
        || policy.min_memory.or(bytes(memory.reservation).map(whole_mib)).filter(|mib| *mib > 0);
    let wanted = limit.map(whole_mib).or_else(reservation).or(policy.image.memory).or(policy.default_memory);
    at_most(wanted.unwrap_or(MEMORY).max(1), policy.node_max_memory)
}

fn bytes(value: Option<i64>) -> Option<u64> {
    value.filter(|bytes| (1..UNLIMITED).contains(bytes)).map(i64::unsigned_abs)
}

/// Rounded down: a limit is not to be exceeded.
fn whole_mib(bytes: u64) -> u32 {
    // `micad` counts in an `i32`.
    (bytes / MIB).min(i32::MAX as u64) as u32
}

fn at_most(value: u32, most: Option<u32>) -> u32 {
    most.map_or(value, |most| value.min(most))
}
