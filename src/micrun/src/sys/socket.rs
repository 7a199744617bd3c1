//! Socket options by number, and sockets that are accepted.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// Makes the number that `accept4` has just given an owner.
pub(crate) fn own(accepted: i32) -> OwnedFd {
    // SAFETY: the kernel has just given the number, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(accepted) }
}

/// Sets an option.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let len = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of the live slice.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    check(done.into()).map(drop)
}

/// Reads an option into `value`; gives how many bytes of it are meant.
pub(crate) fn option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &mut [u8]) -> io::Result<usize> {
    let mut len = value.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to the live slice, and the length to the live integer.
    let done =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut len) };
    check(done.into()).map(|_| value.len().min(len as usize))
}
