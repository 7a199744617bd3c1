//! Rings of `/dev/mcs` for everybody who waits for one.
//!
//! The device has one flag for all of its cores and all of its users, and the first who polls takes it. So whoever takes
//! one of us passes it on: he changes a byte of a file that all of us watch. Nothing of this has to be cleaned up after
//! a process that died, and the kernel wakes exactly those who wait.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

const NAME: &str = "mcs.bell";

/// One who waits.
#[derive(Debug)]
pub(super) struct Bell {
    file: File,
    watch: Inotify,
}

impl Bell {
    /// A bell together with all others of the directory `dir`, which is made if it is missing.
    pub(super) fn new(dir: &Path) -> io::Result<Bell> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join(NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&path)?;
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        watch.add_watch(&path, AddWatchFlags::IN_MODIFY)?;
        Ok(Bell { file, watch })
    }

    /// Readable when one of the others has passed a ring on.
    pub(super) fn pollable(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Passes a ring on to the others.
    pub(super) fn pass_on(&self) {
        if let Err(error) = self.file.write_at(b"!", 0) {
            log::error!("{NAME}: {error}; other containers may hear of their firmware late");
        }
        // Our own ears hear it too, and we know already.
        self.silence();
    }

    /// Makes it unreadable until the next ring.
    pub(super) fn silence(&self) {
        // Fails only if it has not rung. Rings that nobody has taken yet are one.
        let _ = self.watch.read_events();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn rings(bell: &Bell) -> bool {
        let mut waited = [PollFd::new(bell.pollable(), PollFlags::POLLIN)];
        poll(&mut waited, PollTimeout::ZERO).expect("polled") == 1
    }

    #[test]
    fn all_others_hear_every_ring_and_the_ringer_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let [a, b, c] = [(); 3].map(|()| Bell::new(dir.path()).expect("a bell"));
        for _ in 0..3 {
            a.pass_on();
            assert_eq!([&a, &b, &c].map(rings), [false, true, true]);
            b.silence();
            c.silence();
            assert_eq!([&a, &b, &c].map(rings), [false; 3]);
        }
        b.pass_on();
        a.pass_on();
        assert_eq!([&a, &b, &c].map(rings), [false, true, true]);
    }
}
