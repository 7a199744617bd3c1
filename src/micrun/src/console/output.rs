//! Standard output: from the remote to a stream.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use crate::sys;

/// An open output stream, with what it did not take yet.
#[derive(Debug)]
pub struct Output {
    file: File,
    pollable: bool,
    /// Bytes taken from the remote that the stream had no room for; `sent` of them are gone.
    pending: Vec<u8>,
    sent: usize,
}

impl Output {
    /// Opens `path`. Of a FIFO we hold the reading end too: a client that goes away, or containerd's restart, is then
    /// a full FIFO and not a broken one.
    pub(super) fn open(path: &str) -> io::Result<Output> {
        let pollable = std::fs::metadata(path)?.file_type().is_fifo();
        let file = OpenOptions::new()
            .read(pollable)
            .append(!pollable)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Output { file, pollable, pending: Vec::new(), sent: 0 })
    }

    /// Writes `bytes`, or keeps what the stream does not take. Call only if not [`Self::blocked`], except at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = if self.blocked() { 0 } else { self.attempt(bytes)? };
        self.pending.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Tries again with what was kept.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.blocked() {
            let pending = std::mem::take(&mut self.pending);
            let taken = self.attempt(&pending[self.sent..]);
            self.pending = pending;
            self.sent += taken?;
            if self.sent == self.pending.len() {
                self.pending.clear();
                self.sent = 0;
            }
        }
        Ok(())
    }

    /// True as long as something is kept.
    pub fn blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Bytes that the reader has not taken yet, of a FIFO also those that it holds.
    pub fn unread(&self) -> usize {
        // What cannot be asked is not waited for.
        let held = self.pollable().and_then(|fifo| sys::unread(fifo).ok()).unwrap_or(0);
        held + self.pending.len() - self.sent
    }

    /// For the reactor, if the stream can be waited for; a plain file always takes everything.
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.pollable.then(|| self.file.as_fd())
    }

    fn attempt(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.file.write(&bytes[taken..]) {
                Ok(len) => taken += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_reader_that_pauses_loses_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stdout");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a fifo");
        let mut output = Output::open(path.to_str().expect("a name")).expect("open without a reader");
        let message: Vec<u8> = (0..=255).collect();
        let mut expected = Vec::new();
        while !output.blocked() {
            output.write(&message).expect("written or kept");
            expected.extend_from_slice(&message);
        }
        assert_eq!(output.unread(), expected.len());
        assert!(expected.len() > 4096, "a fifo holds more than {} bytes", expected.len());
        let mut reader = OpenOptions::new().read(true).open(&path).expect("a reader");
        let mut read = vec![0; expected.len()];
        let (head, tail) = read.split_at_mut(4096);
        reader.read_exact(head).expect("the beginning");
        output.flush().expect("room now");
        assert!(!output.blocked());
        assert_eq!(output.unread(), tail.len());
        reader.read_exact(tail).expect("the rest");
        assert_eq!(output.unread(), 0);
        assert_eq!(read, expected);
    }
}
