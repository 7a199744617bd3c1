//! Standard input: from a stream to the remote.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// What [`Input::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now; the descriptor will say when.
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
}

impl Input {
    /// Opens `path`. Of a FIFO we hold the writing end too: clients come and go (detach, attach) without our seeing
    /// an end of file; only [`Self::close`] ends the stream.
    pub(super) fn open(path: &str) -> io::Result<Input> {
        let pollable = std::fs::metadata(path)?.file_type().is_fifo();
        let file = OpenOptions::new()
            .read(true)
            .write(pollable)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Input { file, pollable, closing: false })
    }

    /// Reads what is there.
    pub fn read(&mut self, bytes: &mut [u8]) -> Read {
        match io::Read::read(&mut self.file, bytes) {
            Ok(0) => Read::End,
            Ok(len) => Read::Bytes(len),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.read(bytes),
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

    /// The client will send no more: what is in the stream still counts, then it ends.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// For the reactor, if the stream can be waited for; a plain file is always ready.
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.pollable.then(|| self.file.as_fd())
    }
}
