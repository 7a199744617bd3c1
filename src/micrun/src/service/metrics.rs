//! Usage as the cgroup metrics that clients read. A core has no cgroup: these are the figures of its emulator.

use std::path::Path;

use containerd_shim_protos::cgroups::metrics as v1;
use containerd_shim_protos::cgroups_v2::metrics as v2;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use super::convert::any;
use crate::container::Usage;

/// There on hosts with cgroup version 2 alone.
const UNIFIED: &str = "/sys/fs/cgroup/cgroup.controllers";

/// The metrics message of the cgroup version that this host has: containerd and CRI take no other.
pub(super) fn metrics(usage: Usage) -> Any {
    if Path::new(UNIFIED).exists() {
        any("io.containerd.cgroups.v2.Metrics", &unified(usage))
    } else {
        any("io.containerd.cgroups.v1.Metrics", &hierarchies(usage))
    }
}

fn unified(usage: Usage) -> v2::Metrics {
    let cpu = v2::CPUStat {
        usage_usec: (usage.user + usage.system) / 1000,
        user_usec: usage.user / 1000,
        system_usec: usage.system / 1000,
        ..Default::default()
    };
    let memory = v2::MemoryStat {
        usage: usage.memory,
        usage_limit: usage.memory_limit,
        anon: usage.memory,
        pgfault: usage.minor_faults + usage.major_faults,
        pgmajfault: usage.major_faults,
        ..Default::default()
    };
    let pids = v2::PidsStat { current: usage.threads, ..Default::default() };
    v2::Metrics {
        cpu: MessageField::some(cpu),
        memory: MessageField::some(memory),
        pids: MessageField::some(pids),
        ..Default::default()
    }
}

fn hierarchies(usage: Usage) -> v1::Metrics {
    let (user, kernel) = (usage.user, usage.system);
    let cpu = v1::CPUUsage { total: user + kernel, user, kernel, ..Default::default() };
    // Docker reads the fields of `throttling` without asking whether it is there.
    let throttling = MessageField::some(v1::Throttle::new());
    let cpu = v1::CPUStat { usage: MessageField::some(cpu), throttling, ..Default::default() };
    let memory = v1::MemoryEntry { usage: usage.memory, limit: usage.memory_limit, ..Default::default() };
    let memory = v1::MemoryStat {
        usage: MessageField::some(memory),
        rss: usage.memory,
        total_rss: usage.memory,
        total_pg_fault: usage.minor_faults + usage.major_faults,
        total_pg_maj_fault: usage.major_faults,
        ..Default::default()
    };
    let pids = v1::PidsStat { current: usage.threads, ..Default::default() };
    v1::Metrics {
        cpu: MessageField::some(cpu),
        memory: MessageField::some(memory),
        pids: MessageField::some(pids),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        user: 3_000_000,
        system: 2_000_000,
        memory: 7 << 20,
        memory_limit: 1 << 30,
        minor_faults: 40,
        major_faults: 2,
        threads: 6,
    };

    #[test]
    fn both_versions_say_what_clients_read() {
        let new = unified(USAGE);
        assert_eq!((new.cpu.usage_usec, new.cpu.user_usec, new.cpu.system_usec), (5000, 3000, 2000));
        assert_eq!((new.memory.usage, new.memory.usage_limit, new.memory.anon), (7 << 20, 1 << 30, 7 << 20));
        assert_eq!((new.memory.pgfault, new.memory.pgmajfault, new.pids.current), (42, 2, 6));
        let old = hierarchies(USAGE);
        let cpu = &old.cpu.usage;
        assert_eq!((cpu.total, cpu.user, cpu.kernel), (5_000_000, 3_000_000, 2_000_000));
        assert!(old.cpu.throttling.is_some());
        assert_eq!((old.memory.usage.usage, old.memory.usage.limit), (7 << 20, 1 << 30));
        assert_eq!(
            (old.memory.total_rss, old.memory.total_pg_fault, old.memory.total_pg_maj_fault),
            (7 << 20, 42, 2)
        );
        assert_eq!(old.pids.current, 6);
    }
}
