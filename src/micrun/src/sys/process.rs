//! Other processes, by more than their number: pids are used again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::{check, wait_readable};
use crate::pedestal::Process;

/// A killed process is gone within milliseconds; one in a stuck system call never.
const KILL_DEADLINE: Duration = Duration::from_secs(2);

/// A descriptor that becomes readable when the process ends.
pub(crate) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers.
    let descriptor = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}

/// Sends `signal` to the process behind `pidfd`, and to no other that has its number by now.
fn signal_pidfd(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means "as kill(2) would".
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) })?;
    Ok(())
}

/// What `/proc/PID/stat` says of a process (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// Field 10: page faults that needed no disk.
    pub(crate) minor_faults: u64,
    /// Field 12: page faults that needed one.
    pub(crate) major_faults: u64,
    /// Field 14: time in user mode, in clock ticks.
    pub(crate) user: u64,
    /// Field 15: time in the kernel, in clock ticks.
    pub(crate) system: u64,
    /// Field 20: threads.
    pub(crate) threads: u64,
    /// Field 22: start, in clock ticks since boot.
    pub(crate) start_time: u64,
    /// Field 24: resident pages.
    pub(crate) resident: u64,
}

/// Reads `/proc/PID/stat`.
pub(crate) fn process_stat(pid: u32) -> io::Result<ProcessStat> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path)?;
    parse_stat(&stat).ok_or_else(|| io::Error::other(format!("{path} is not understood")))
}

fn parse_stat(stat: &str) -> Option<ProcessStat> {
    // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse().ok();
    Some(ProcessStat {
        minor_faults: field(10)?,
        major_faults: field(12)?,
        user: field(14)?,
        system: field(15)?,
        threads: field(20)?,
        start_time: field(22)?,
        resident: field(24)?,
    })
}

/// Names a process beyond the reuse of its pid.
pub(crate) fn identify(pid: u32) -> io::Result<Process> {
    Ok(Process { pid, start_time: process_stat(pid)?.start_time })
}

/// The threads of a process, if it is still the same one.
pub(crate) fn threads(process: Process) -> io::Result<Vec<i32>> {
    let entries = std::fs::read_dir(format!("/proc/{}/task", process.pid))?;
    // Checked after the directory was opened: it does not become another process's.
    if identify(process.pid)? != process {
        return Err(io::ErrorKind::NotFound.into());
    }
    let number = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(number).collect())
}

/// Ends a process of an earlier shim, if it is still there and still the same one.
pub(crate) fn kill_process(process: Process) -> io::Result<()> {
    let Ok(pidfd) = open_pidfd(process.pid) else { return Ok(()) };
    // Checked after the descriptor was opened: it cannot become another process any more.
    if identify(process.pid).ok() != Some(process) {
        return Ok(());
    }
    signal_pidfd(&pidfd, libc::SIGKILL)?;
    wait_readable(pidfd.as_fd(), KILL_DEADLINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "12 (a) b (c)) S 1 12 12 0 -1 4194560 100 0 3 0 7 8 0 0 20 0 6 0 4242 1000 55 18446744073709551615";
        let expected = ProcessStat {
            minor_faults: 100,
            major_faults: 3,
            user: 7,
            system: 8,
            threads: 6,
            start_time: 4242,
            resident: 55,
        };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat("12 (a"), None);
    }

    #[test]
    fn another_process_of_that_number_is_left_alone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let process = identify(child.id()).expect("it runs");
        kill_process(Process { start_time: process.start_time + 1, ..process }).expect("nothing done");
        assert_eq!(child.try_wait().expect("a child"), None);
        kill_process(process).expect("killed");
        assert!(!child.wait().expect("a child").success());
    }
}
