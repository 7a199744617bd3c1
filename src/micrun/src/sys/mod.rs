//! The few system calls that neither `std` nor `nix` wraps safely: the only unsafe code of this crate.
#![allow(unsafe_code, reason = "this is its place")]

mod hold;
mod inherit;
pub(crate) mod mcs;
mod mount;
mod process;
mod socket;
mod thread;
#[cfg(all(panic = "abort", target_env = "musl", not(debug_assertions)))]
mod unwinder;
mod wait;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::unistd::{SysconfVar, sysconf};

pub(crate) use hold::{Hold, Step, hold};
pub(crate) use inherit::{adopt, bequeath, confine, duplicate};
pub(crate) use mount::read_only_view;
pub(crate) use process::{identify, kill_process, open_pidfd, process_stat, threads};
pub(crate) use socket::{option as socket_option, own, set_option as set_socket_option};
pub(crate) use thread::spawn;
pub(crate) use wait::wait_readable;

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// Bytes in a FIFO that nobody has read yet.
pub(crate) fn unread(fifo: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int through the pointer, which is to a live one.
    check(unsafe { libc::ioctl(fifo.as_raw_fd(), libc::FIONREAD, &raw mut count) }.into())?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Entries of a directory from where it stands, as `linux_dirent64` has them; at most `most` bytes.
pub(crate) fn directory_entries(directory: BorrowedFd<'_>, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    // SAFETY: the kernel writes at most `most` bytes into the live buffer of that size.
    let len = check(unsafe {
        libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), bytes.as_mut_ptr(), most)
    })?;
    bytes.truncate(usize::try_from(len).unwrap_or(0));
    Ok(bytes)
}

/// The result of a system call, or `errno`.
fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
