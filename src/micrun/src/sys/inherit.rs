//! Which descriptors a child process gets, and how long it lives.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::SigSet;

use super::check;

/// Copies are parked from here on while descriptors are renumbered, out of the way of all numbers a child is given.
const PARKED: RawFd = 64;

/// The child gets `inherited` under their own numbers and the standard streams, nothing else, takes all signals, and
/// dies with the thread that forks it.
pub(crate) fn confine<const N: usize>(command: &mut Command, inherited: [RawFd; N]) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: a system call without pointers; SIGKILL is a valid signal.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }.into())?;
        // A parent that was killed before this has left no signal behind.
        if std::os::unix::process::parent_id() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        SigSet::empty().thread_set_mask()?;
        close_on_exec()?;
        for descriptor in inherited {
            // SAFETY: a system call without pointers, on a descriptor that the caller of `confine` keeps open.
            check(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }.into())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, no allocation and no locks, between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// The child becomes a session of its own and gets each of `ours` under the number of the same place in `theirs`, the
/// standard streams, and nothing else. It takes all signals and outlives us.
pub(crate) fn bequeath<const N: usize>(command: &mut Command, ours: [OwnedFd; N], theirs: [RawFd; N]) {
    use std::os::fd::AsRawFd;
    let prepare = move || {
        nix::unistd::setsid()?;
        SigSet::empty().thread_set_mask()?;
        close_on_exec()?;
        let mut parked = [0; N];
        for (copy, descriptor) in parked.iter_mut().zip(&ours) {
            // SAFETY: a system call without pointers; the copy is made in the child, which execs next.
            let number = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, PARKED) };
            *copy = check(number.into())? as RawFd;
        }
        for (copy, number) in parked.into_iter().zip(theirs) {
            // SAFETY: as above. `dup2` leaves the copy open across exec.
            check(unsafe { libc::dup2(copy, number) }.into())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, no allocation and no locks, between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// Takes over a descriptor that the parent bequeathed under this number. To be called once per number, first thing.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers; it fails if there is no such descriptor.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: the descriptor is open, and by the rule above nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor of our own for what somebody else has open under this number.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers; it fails if there is no such descriptor.
    let copy = check(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) }.into())?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(copy as RawFd) })
}

/// Marks every descriptor from 3 on as closed by exec.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: a system call without pointers; the flag only marks descriptors, so nothing in use is closed.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}
