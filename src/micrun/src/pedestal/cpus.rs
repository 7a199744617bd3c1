//! Host CPUs that an emulated core runs on.

use std::io;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::Process;
use crate::resources::CpuList;
use crate::sys;

/// The CPUs that the host has switched on, as a list.
const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Looks at the threads of a process; the second one finds those that were made during the first.
const LOOKS: usize = 8;

/// Why the CPUs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
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

/// The CPUs that the host has switched on.
pub fn online() -> io::Result<CpuList> {
    let list = std::fs::read_to_string(ONLINE)?;
    CpuList::parse(list.trim_end()).ok_or_else(|| io::Error::other(format!("{ONLINE} is {list:?}")))
}

/// Lets all threads of `process` run on `cpus` only, or where we do; those to come as well: a thread inherits from its maker.
pub(super) fn pin(process: Process, cpus: Option<&CpuList>) -> Result<(), PinError> {
    let set = cpus.map_or_else(|| Ok(sched_getaffinity(Pid::from_raw(0))?), set)?;
    let mut pinned = Vec::new();
    for _ in 0..LOOKS {
        let threads = sys::threads(process)?;
        let new: Vec<i32> = threads.into_iter().filter(|thread| !pinned.contains(thread)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for thread in &new {
            match sched_setaffinity(Pid::from_raw(*thread), &set) {
                // Ended meanwhile.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(Errno::EINVAL) => {
                    return Err(PinError::Closed { value: cpus.map_or(String::new(), CpuList::to_string) });
                }
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
        pinned.extend(new);
    }
    Err(io::Error::other("it does not stop making threads").into())
}

fn set(cpus: &CpuList) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|cpu| set.set(cpu as usize))?;
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_pinned_and_its_pid_in_another_s_hands_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let process = sys::identify(child.id()).expect("it runs");
        let allowed = || nix::sched::sched_getaffinity(Pid::from_raw(child.id() as i32)).expect("it runs");
        let before = allowed();
        let one = (0..CpuSet::count()).find(|cpu| before.is_set(*cpu).unwrap_or(false)).expect("a cpu");
        let cpus = CpuList::parse(&one.to_string()).expect("a list");
        let other = Process { start_time: process.start_time + 1, ..process };
        assert!(pin(other, Some(&cpus)).is_err());
        assert_eq!(allowed(), before);
        pin(process, Some(&cpus)).expect("pinned");
        assert_eq!(allowed(), set(&cpus).expect("a set"));
        pin(process, None).expect("let go");
        assert_eq!(allowed(), before);
        child.kill().and_then(|()| child.wait()).expect("ended");
    }

    #[test]
    fn some_cpu_is_online() {
        assert!(online().expect("a list").count() > 0);
    }
}
