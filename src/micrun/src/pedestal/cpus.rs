//! Host CPUs that an emulated core runs on.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::Process;
use crate::sys;

/// Bytes of the longest list: all CPUs that a set holds, one by one, have 4010.
const LIST_LIMIT: usize = 4 << 10;
/// The CPUs that the host has switched on, as a list.
const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Looks at the threads of a process; the second one finds those that were made during the first.
const LOOKS: usize = 8;

/// Why the CPUs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
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
        online: String,
    },
    /// CPUs of this host, but not for us.
    #[error("cpu.cpus is {value:?}, the shim's own cpuset has none of them")]
    Closed {
        /// The value.
        value: String,
    },
    /// The system refuses.
    #[error("pinning the emulator: {0}")]
    System(#[from] io::Error),
}

impl PinError {
    /// True if another value would be right.
    pub fn is_the_callers(&self) -> bool {
        !matches!(self, PinError::System(_))
    }
}

/// A set of CPUs, all of them online when it was read.
#[derive(Clone, Debug)]
pub struct Cpus {
    list: String,
    set: CpuSet,
}

impl Cpus {
    /// Reads a list in the kernel's form (cpuset(7)): numbers and ranges between commas.
    pub fn parse(list: &str) -> Result<Cpus, PinError> {
        let online = std::fs::read_to_string(ONLINE)?;
        Cpus::among(list, online.trim_end())
    }

    fn among(list: &str, online: &str) -> Result<Cpus, PinError> {
        let syntax = || PinError::Syntax { value: list.chars().take(64).collect() };
        let set = read(list).ok_or_else(syntax)?;
        let there = read(online).ok_or_else(|| io::Error::other(format!("{ONLINE} is {online:?}")))?;
        if (0..CpuSet::count()).any(|cpu| has(&set, cpu) && !has(&there, cpu)) {
            return Err(PinError::Offline { value: list.to_owned(), online: online.to_owned() });
        }
        Ok(Cpus { list: list.to_owned(), set })
    }

    /// Lets all threads of `process` run on these CPUs only, those to come as well: a thread inherits from its maker.
    pub(super) fn pin(&self, process: Process) -> Result<(), PinError> {
        let mut pinned = BTreeSet::new();
        for _ in 0..LOOKS {
            let threads = sys::threads(process)?;
            let new: Vec<i32> = threads.into_iter().filter(|thread| pinned.insert(*thread)).collect();
            if new.is_empty() {
                return Ok(());
            }
            new.into_iter().try_for_each(|thread| self.pin_thread(thread))?;
        }
        Err(io::Error::other("it does not stop making threads").into())
    }

    fn pin_thread(&self, thread: i32) -> Result<(), PinError> {
        match sched_setaffinity(Pid::from_raw(thread), &self.set) {
            // Ended meanwhile.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(Errno::EINVAL) => Err(PinError::Closed { value: self.list.clone() }),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }
}

/// False for what is beyond the set.
fn has(set: &CpuSet, cpu: usize) -> bool {
    set.is_set(cpu).unwrap_or(false)
}

fn read(list: &str) -> Option<CpuSet> {
    if list.len() > LIST_LIMIT {
        return None;
    }
    let mut set = CpuSet::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        // Ends at the first CPU that the set has no room for.
        (first..=last).try_for_each(|cpu| set.set(cpu)).ok()?;
    }
    Some(set)
}

/// Digits only: Rust would take a sign as well.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str) -> Option<Vec<usize>> {
        read(list).map(|set| (0..CpuSet::count()).filter(|cpu| has(&set, *cpu)).collect())
    }

    fn refusal(list: &str) -> String {
        Cpus::among(list, "0-3").expect_err("refused").to_string()
    }

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(listed("0"), Some(vec![0]));
        assert_eq!(listed("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(listed("3,1-1,3"), Some(vec![1, 3]));
        assert_eq!(listed("1023"), Some(vec![1023]));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in ["", " ", ",", "0,", "-1", "1-", "2-1", "+1", "0x1", "0-1:2", "all", "1024", "0-1024"] {
            assert_eq!(listed(list), None, "{list}");
        }
        assert_eq!(listed("0-18446744073709551615"), None);
        assert_eq!(listed(&"0-1023,".repeat(1000)), None);
        assert_eq!(refusal("one"), "cpu.cpus is \"one\", it must be a list of cpus like 0-2,5");
        assert!(refusal(&"9".repeat(1000)).len() < 200);
    }

    #[test]
    fn cpus_that_the_host_has_not_are_refused() {
        assert!(Cpus::among("1-3", "0-3").is_ok());
        assert_eq!(refusal("2-4"), "cpu.cpus is \"2-4\", this host has cpus 0-3");
    }

    #[test]
    fn a_process_is_pinned_and_its_pid_in_another_s_hands_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let process = sys::identify(child.id()).expect("it runs");
        let allowed = || nix::sched::sched_getaffinity(Pid::from_raw(child.id() as i32)).expect("it runs");
        let before = allowed();
        let one = (0..CpuSet::count()).find(|cpu| has(&before, *cpu)).expect("a cpu");
        let cpus = Cpus::parse(&one.to_string()).expect("a list");
        let other = Process { start_time: process.start_time + 1, ..process };
        assert!(cpus.pin(other).is_err());
        assert_eq!(allowed(), before);
        cpus.pin(process).expect("pinned");
        assert_eq!(allowed(), cpus.set);
        child.kill().and_then(|()| child.wait()).expect("ended");
    }
}
