//! Usage as the cgroup metrics that clients read. A core has no cgroup: these are the figures of its emulator.

use std::path::Path;

use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::container::Usage;

/// There on hosts with cgroup version 2 alone.
const UNIFIED: &str = "/sys/fs/cgroup/cgroup.controllers";

/// The metrics message of the cgroup version that this host has: containerd and CRI take no other.
pub(super) fn metrics(usage: Usage) -> Any {
    let (version, message) =
        if Path::new(UNIFIED).exists() { ("v2", unified(usage)) } else { ("v1", hierarchies(usage)) };
    let type_url = format!("io.containerd.cgroups.{version}.Metrics");
    Any { type_url, value: message.bytes, ..Any::default() }
}

/// `io.containerd.cgroups.v2.Metrics`; numbers of the fields as in its definition.
fn unified(usage: Usage) -> Message {
    let cpu = Message::new()
        .number(1, (usage.user + usage.system) / 1000)
        .number(2, usage.user / 1000)
        .number(3, usage.system / 1000);
    let memory = Message::new()
        .number(1, usage.memory)
        .number(18, usage.minor_faults + usage.major_faults)
        .number(19, usage.major_faults)
        .number(32, usage.memory)
        .number(33, usage.memory_limit);
    let pids = Message::new().number(1, usage.threads);
    Message::new().message(1, &pids).message(2, &cpu).message(4, &memory)
}

/// `io.containerd.cgroups.v1.Metrics`.
fn hierarchies(usage: Usage) -> Message {
    let times =
        Message::new().number(1, usage.user + usage.system).number(2, usage.system).number(3, usage.user);
    // Docker reads the fields of `throttling` without asking whether it is there.
    let cpu = Message::new().message(1, &times).message(2, &Message::new());
    let entry = Message::new().number(1, usage.memory_limit).number(2, usage.memory);
    let memory = Message::new()
        .number(2, usage.memory)
        .number(19, usage.memory)
        .number(26, usage.minor_faults + usage.major_faults)
        .number(27, usage.major_faults)
        .message(33, &entry);
    let pids = Message::new().number(1, usage.threads);
    Message::new().message(2, &pids).message(3, &cpu).message(4, &memory)
}

/// A protobuf message. Generated code for these two would be 10 KB of the shim, for some twenty numbers.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    const NUMBER: u64 = 0;
    const MESSAGE: u64 = 2;

    fn new() -> Message {
        Message { bytes: Vec::new() }
    }

    fn number(mut self, field: u64, value: u64) -> Message {
        self.varint(field << 3 | Message::NUMBER);
        self.varint(value);
        self
    }

    fn message(mut self, field: u64, message: &Message) -> Message {
        self.varint(field << 3 | Message::MESSAGE);
        self.varint(message.bytes.len() as u64);
        self.bytes.extend_from_slice(&message.bytes);
        self
    }

    /// Seven bits a byte, the lowest first; the eighth says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::cgroups::metrics as v1;
    use containerd_shim_protos::cgroups_v2::metrics as v2;
    use containerd_shim_protos::protobuf::Message as _;

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
        let new = v2::Metrics::parse_from_bytes(&unified(USAGE).bytes).expect("a message");
        assert_eq!((new.cpu.usage_usec, new.cpu.user_usec, new.cpu.system_usec), (5000, 3000, 2000));
        assert_eq!((new.memory.usage, new.memory.usage_limit, new.memory.anon), (7 << 20, 1 << 30, 7 << 20));
        assert_eq!((new.memory.pgfault, new.memory.pgmajfault, new.pids.current), (42, 2, 6));
        let old = v1::Metrics::parse_from_bytes(&hierarchies(USAGE).bytes).expect("a message");
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
