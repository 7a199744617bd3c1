//! Standard input: from a stream to the remote.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use super::kind::{Kind, kind};
use super::pace::Pace;
use crate::sys;

/// What [`Input::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now; the descriptor, or the deadline, will say when.
    Later,
    /// Nothing any more.
    End,
}

/// An open input stream.
#[derive(Debug)]
pub struct Input {
    file: File,
    pollable: bool,
    closing: bool,
    pace: Option<Pace>,
    /// There is input that the pace holds back until then.
    held_until: Option<Instant>,
}

impl Input {
    /// Opens `path`. Of a FIFO we hold the writing end too: clients come and go (detach, attach) without our seeing
    /// an end of file; only [`Self::close`] ends the stream. At most `rate` bytes a second are read, if it is given.
    pub(super) fn open(path: &Path, rate: Option<u32>) -> io::Result<Input> {
        let pollable = kind(path)? == Kind::Fifo;
        let file = OpenOptions::new()
            .read(true)
            .write(pollable)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Input { file, pollable, closing: false, pace: rate.map(Pace::new), held_until: None })
    }

    /// Reads what is there, and what the pace lets pass.
    pub fn read(&mut self, bytes: &mut [u8]) -> Read {
        let Some(mut pace) = self.pace else { return self.read_now(bytes) };
        let now = Instant::now();
        if let Some(next) = pace.closed(now) {
            self.held_until = self.waits().then_some(next);
            return Read::Later;
        }
        let most = bytes.len().min(pace.piece);
        let read = self.read_now(&mut bytes[..most]);
        if let Read::Bytes(_) = read {
            pace.pass(now);
            self.pace = Some(pace);
        }
        read
    }

    /// When input that is held back may pass.
    pub fn deadline(&self) -> Option<Instant> {
        self.held_until
    }

    /// Forgets the deadline: the next read sets it again if need be.
    pub fn resume(&mut self) {
        self.held_until = None;
    }

    /// The client will send no more: what is in the stream still counts, then it ends.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// For the reactor, if the stream can be waited for; a plain file is always ready.
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.pollable.then(|| self.file.as_fd())
    }

    /// Whether a read would find something, if only the end.
    fn waits(&self) -> bool {
        self.closing || self.pollable().is_none_or(|fifo| sys::unread(fifo).is_ok_and(|unread| unread > 0))
    }

    fn read_now(&mut self, bytes: &mut [u8]) -> Read {
        match io::Read::read(&mut self.file, bytes) {
            Ok(0) => Read::End,
            Ok(len) => Read::Bytes(len),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.read_now(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.closing {
                    Read::End
                } else {
                    Read::Later
                }
            }
            Err(error) => {
                log::warn!("stdin: {error}; no more input is read");
                Read::End
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::stat::Mode;

    use super::*;

    /// A FIFO with what was written to it.
    fn typed(bytes: &[u8], rate: Option<u32>) -> (tempfile::TempDir, Input, File) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stdin");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a fifo");
        let input = Input::open(&path, rate).expect("open without a writer");
        let mut writer = OpenOptions::new().write(true).open(&path).expect("a writer");
        writer.write_all(bytes).expect("room");
        (dir, input, writer)
    }

    #[test]
    fn a_closed_stream_ends_after_what_is_in_it() {
        let (_dir, mut input, writer) = typed(b"abc", None);
        drop(writer);
        input.close();
        let mut bytes = [0; 2];
        assert_eq!([input.read(&mut bytes), input.read(&mut bytes)], [Read::Bytes(2), Read::Bytes(1)]);
        assert_eq!(input.read(&mut bytes), Read::End);
    }

    #[test]
    fn a_writer_that_goes_is_not_the_end() {
        let (_dir, mut input, writer) = typed(b"", None);
        drop(writer);
        assert_eq!(input.read(&mut [0; 2]), Read::Later);
        assert_eq!(input.deadline(), None);
    }

    #[test]
    fn a_deadline_is_there_only_while_input_is_held_back() {
        let (_dir, mut input, mut writer) = typed(b"ab", Some(1));
        let mut bytes = [0; 8];
        assert_eq!(input.read(&mut bytes), Read::Bytes(1));
        assert_eq!(input.read(&mut bytes), Read::Later);
        assert!(input.deadline().is_some());
        input.resume();
        assert_eq!(input.deadline(), None);
        // Another way to the time when the second byte may pass.
        input.pace = Some(Pace::new(1));
        assert_eq!(input.read(&mut bytes), Read::Bytes(1));
        assert_eq!(input.read(&mut bytes), Read::Later);
        assert_eq!(input.deadline(), None, "nothing is there");
        writer.write_all(b"c").expect("room");
        assert_eq!(input.read(&mut bytes), Read::Later);
        assert!(input.deadline().is_some());
    }
}
