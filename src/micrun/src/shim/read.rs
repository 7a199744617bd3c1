//! Reads what another process writes, without trusting it to end or to be short.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// At most as many bytes as were allowed.
    pub(super) bytes: Vec<u8>,
    /// That was all. Otherwise there was more, or the writer had not ended at the deadline.
    pub(super) whole: bool,
}

/// Reads up to `limit` bytes until the writer ends, at most for `deadline`.
pub(super) fn read(mut from: File, limit: usize, deadline: Duration) -> io::Result<Said> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while bytes.len() < limit {
        match readable(&from, deadline.saturating_sub(begun.elapsed())) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let len = from.read(&mut chunk)?;
        if len == 0 {
            return Ok(Said { bytes, whole: true });
        }
        bytes.extend(chunk.iter().take(len.min(limit - bytes.len())));
    }
    Ok(Said { bytes, whole: false })
}

/// False if there is nothing to read, not even the end, within `left`.
fn readable(from: &File, left: Duration) -> nix::Result<bool> {
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut polled, timeout)? > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::unistd::pipe;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(20);

    fn said(bytes: &[u8], whole: bool) -> Said {
        Said { bytes: bytes.to_vec(), whole }
    }

    #[test]
    fn a_writer_that_ends_is_read_to_its_end() {
        let (ours, theirs) = pipe().expect("a pipe");
        File::from(theirs).write_all(b"all").expect("written");
        assert_eq!(read(ours.into(), 10, LONG).expect("read"), said(b"all", true));
    }

    #[test]
    fn neither_a_silent_nor_an_endless_writer_holds_us() {
        let (ours, theirs) = pipe().expect("a pipe");
        File::from(theirs.try_clone().expect("a copy")).write_all(b"and then").expect("written");
        assert_eq!(read(ours.into(), 10, SHORT).expect("read"), said(b"and then", false));
        let endless = File::open("/dev/zero").expect("zeros");
        assert_eq!(read(endless, 5000, LONG).expect("read"), said(&[0; 5000], false));
        drop(theirs);
    }
}
