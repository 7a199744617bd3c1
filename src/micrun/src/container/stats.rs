//! Stats: what the process that stands for the core has used.

use super::Container;
use crate::pedestal::Process;
use crate::sys::{self, page_size};

/// Resources used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode, nanoseconds.
    pub user: u64,
    /// CPU time in the kernel, nanoseconds.
    pub system: u64,
    /// Resident memory, bytes.
    pub memory: u64,
    /// Bytes of RAM that the firmware can use at most.
    pub memory_limit: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that needed one.
    pub major_faults: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Both together.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            memory: self.memory + other.memory,
            memory_limit: self.memory_limit + other.memory_limit,
            minor_faults: self.minor_faults + other.minor_faults,
            major_faults: self.major_faults + other.major_faults,
            threads: self.threads + other.threads,
        }
    }
}

impl Container {
    /// True if it only stands for its pod, whose containers' usage is its own.
    pub fn is_pod(&self) -> bool {
        self.lock().limits.is_none()
    }

    /// Usage now; zeroes if nothing runs.
    pub fn usage(&self) -> Usage {
        let (process, control, limit) = {
            let inner = self.lock();
            let limit = inner.limits.as_ref().and_then(|limits| limits.plan.group.memory);
            (inner.process, inner.control.clone(), limit)
        };
        let memory = control.map_or(0, |control| control.memory());
        let memory_limit = limit.map_or(memory, |limit| limit.min(memory));
        process.and_then(|process| read(process, memory_limit)).unwrap_or_default()
    }
}

/// `None` if the process has ended, whoever has its pid now.
fn read(process: Process, memory_limit: u64) -> Option<Usage> {
    let stat = sys::process_stat(process.pid).ok()?;
    (stat.start_time == process.start_time).then(|| Usage {
        user: nanoseconds(stat.user),
        system: nanoseconds(stat.system),
        memory: stat.resident * page_size(),
        memory_limit,
        minor_faults: stat.minor_faults,
        major_faults: stat.major_faults,
        threads: stat.threads,
    })
}

/// Clock ticks to nanoseconds: Linux tells user space a fixed 100 per second (`USER_HZ`).
fn nanoseconds(ticks: u64) -> u64 {
    ticks * 10_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_in_another_s_hands_has_used_nothing() {
        let ourselves = sys::identify(std::process::id()).expect("we run");
        let usage = read(ourselves, 7).expect("we run");
        assert!(usage.memory > 0 && usage.threads > 0 && usage.minor_faults > 0);
        assert_eq!(usage.memory_limit, 7);
        assert_eq!(read(Process { start_time: ourselves.start_time + 1, ..ourselves }, 7), None);
    }
}
