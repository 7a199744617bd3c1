//! Waiting for one descriptor.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until `descriptor` has something to read, be it its end; of a pidfd, until the process has ended. After
/// `deadline` the error is `TimedOut`.
pub(crate) fn wait_readable(descriptor: BorrowedFd<'_>, deadline: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let left = deadline.saturating_sub(begun.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
