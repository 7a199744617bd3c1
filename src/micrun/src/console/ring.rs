//! A FIFO that nobody reads, as a bounded ring: its oldest bytes make room for new ones.
//!
//! We hold a reading end of our own, so that a client that goes away, or containerd's restart, leaves a full FIFO and not
//! a broken one. The bytes to be dropped are read from it: order is kept, and no memory of ours is needed. Nothing is
//! taken from a reader that is there, however slow: it is waited for. Whether one is there, the kernel tells when we let
//! go of our own end for a moment; what is in the FIFO stays, because we also write to it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys;

/// How long a full FIFO waits for a reader: attaching takes less. A containerd that restarts finds the newest 64 KiB.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is dropped at once: a FIFO has room for new bytes when one of its pages is empty.
const PAGE: usize = 4096;

/// What there is beside the writing end of a FIFO.
#[derive(Debug)]
pub(super) struct Ring {
    /// `None` only while it is being looked who else reads.
    ours: Option<File>,
    /// Since when there was no room, or since the reader was last seen.
    full_since: Option<Instant>,
    /// The firmware has ended: no output is gained by waiting.
    hurried: bool,
    /// Bytes dropped since a reader was last seen. If there are any, none is waited for.
    dropped: u64,
    /// Bytes in the FIFO after the last write; if there are fewer, somebody has read.
    left: usize,
}

impl Ring {
    /// Opens both ends; gives the writing one. Never blocks.
    pub(super) fn open(path: &Path) -> io::Result<(File, Ring)> {
        let ours = open(path, OpenOptions::new().read(true))?;
        let writer = open(path, OpenOptions::new().write(true))?;
        Ok((writer, Ring { ours: Some(ours), full_since: None, hurried: false, dropped: 0, left: 0 }))
    }

    /// Nobody who is not there now is waited for any more.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// When to try again although the FIFO has not changed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.full_since.map(|since| since + PATIENCE)
    }

    /// Tries to make room in the full FIFO of `writer`; true if there may be some now.
    pub(super) fn make_room(&mut self, writer: &File) -> io::Result<bool> {
        let now = Instant::now();
        let since = *self.full_since.get_or_insert(now);
        if self.dropped == 0 && !self.hurried && now.saturating_duration_since(since) < PATIENCE {
            return Ok(false);
        }
        if self.has_reader(writer)? {
            self.report();
            self.full_since = Some(now);
            return Ok(false);
        }
        self.drop_page()?;
        Ok(true)
    }

    /// Everything was written.
    pub(super) fn written(&mut self, writer: &File) {
        self.full_since = None;
        if self.dropped > 0 {
            self.left = sys::unread(writer.as_fd()).unwrap_or(0);
        }
    }

    /// Looks whether somebody has read since the last write.
    pub(super) fn look(&mut self, writer: &File) {
        if self.dropped > 0 && sys::unread(writer.as_fd()).is_ok_and(|unread| unread < self.left) {
            self.report();
        }
    }

    /// Whether somebody else has the FIFO open for reading.
    fn has_reader(&mut self, writer: &File) -> io::Result<bool> {
        self.ours = None;
        let mut polled = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        let answered = poll(&mut polled, PollTimeout::ZERO);
        let alone = polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
        let again = format!("/proc/self/fd/{}", writer.as_raw_fd());
        self.ours = Some(open(Path::new(&again), OpenOptions::new().read(true))?);
        answered?;
        Ok(!alone)
    }

    fn drop_page(&mut self) -> io::Result<()> {
        let mut page = [0; PAGE];
        let Some(ours) = &mut self.ours else { return Ok(()) };
        let len = match ours.read(&mut page) {
            Ok(len) => len,
            // A reader came and went.
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if self.dropped == 0 && len > 0 {
            log::warn!("stdout is full and nobody reads it: the oldest output is dropped");
        }
        self.dropped += len as u64;
        Ok(())
    }

    fn report(&mut self) {
        if self.dropped > 0 {
            log::warn!("{} bytes of output were dropped while nobody read stdout", self.dropped);
            self.dropped = 0;
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.report();
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}
