//! Calls that cannot be carried out yet: they are put aside, others go on, and they are tried again when there is news.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::files::Files;

/// Calls that are put aside at most: an RTOS has a call per thread.
pub(super) const MOST: usize = 32;

/// What a call waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wait {
    /// Descriptors of the RTOS, and what they are to be ready for.
    pub(super) polled: Vec<(i32, PollFlags)>,
    /// When it fails.
    pub(super) deadline: Option<Instant>,
}

impl Wait {
    /// For at most `timeout`; a time that no clock has is for ever.
    pub(super) fn new(polled: Vec<(i32, PollFlags)>, timeout: Option<Duration>) -> Wait {
        Wait { polled, deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)) }
    }
}

/// A call that is put aside.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) message: Vec<u8>,
    pub(super) wait: Wait,
}

/// Sleeps until one of the calls may go on, or `bell` rings.
pub(super) fn sleep(parked: &[Parked], files: &Files, bell: BorrowedFd<'_>) {
    let mut polled = vec![PollFd::new(bell, PollFlags::POLLIN)];
    for (fd, events) in parked.iter().flat_map(|call| &call.wait.polled) {
        match files.get(*fd) {
            Ok(file) => polled.push(PollFd::new(file.as_fd(), *events)),
            // Closed meanwhile: the call fails at once.
            Err(_) => return,
        }
    }
    let next = parked.iter().filter_map(|call| call.wait.deadline).min();
    let left = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let timeout =
        left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    // A signal is as good a reason to look as any.
    let _ = poll(&mut polled, timeout);
}
