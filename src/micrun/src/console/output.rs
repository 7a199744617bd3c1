//! Standard output: from the remote to a stream.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use super::kind::{Kind, kind};
use super::ring::Ring;
use crate::sys;

/// An open output stream, with what it did not take yet.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// The stream can be waited for; a plain file always takes everything.
    pollable: bool,
    /// Of a FIFO.
    ring: Option<Ring>,
    /// Bytes taken from the remote that the stream had no room for; `sent` of them are gone.
    pending: Vec<u8>,
    sent: usize,
}

impl Output {
    /// Opens the FIFO or file at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Output> {
        match kind(path)? {
            Kind::Fifo => {
                let (file, ring) = Ring::open(path)?;
                Ok(Output { file, pollable: true, ring: Some(ring), pending: Vec::new(), sent: 0 })
            }
            Kind::File => {
                let file = OpenOptions::new().append(true).open(path)?;
                Ok(Output { file, pollable: false, ring: None, pending: Vec::new(), sent: 0 })
            }
        }
    }

    /// The same for a `path` that may be missing: then a file is made, with its directories.
    pub(super) fn make(path: &Path) -> io::Result<Output> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Output::open(path)
    }

    /// The writing end of a pipe, which does not block, to a reader who is waited for as long as it lives.
    pub(super) fn pipe(writer: File) -> Output {
        Output { file: writer, pollable: true, ring: None, pending: Vec::new(), sent: 0 }
    }

    /// Writes `bytes`, or keeps what the stream does not take. Call only if not [`Self::blocked`], except at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        self.flush()
    }

    /// Tries again with what was kept.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(ring) = &mut self.ring {
            ring.look(&self.file);
        }
        while !self.send()? {
            let Some(ring) = &mut self.ring else { return Ok(()) };
            if !ring.make_room(&self.file)? {
                return Ok(());
            }
        }
        if let Some(ring) = &mut self.ring {
            ring.written(&self.file);
        }
        Ok(())
    }

    /// True as long as something is kept.
    pub fn blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When to flush although the stream itself says nothing.
    pub fn deadline(&self) -> Option<Instant> {
        self.ring.as_ref().filter(|_| self.blocked())?.deadline()
    }

    /// The last output is coming.
    pub fn hurry(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.hurry();
        }
    }

    /// Bytes that the reader has not taken yet, of a FIFO also those that it holds.
    pub fn unread(&self) -> usize {
        // What cannot be asked is not waited for.
        let held = self.pollable().and_then(|fifo| sys::unread(fifo).ok()).unwrap_or(0);
        held + self.pending.len() - self.sent
    }

    /// For the reactor, if the stream can be waited for.
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.pollable.then(|| self.file.as_fd())
    }

    /// Writes what was kept as far as it goes; true if nothing is left.
    fn send(&mut self) -> io::Result<bool> {
        while self.blocked() {
            match self.file.write(&self.pending[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.sent == self.pending.len() {
                self.pending.clear();
                self.sent = 0;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;

    use nix::sys::stat::Mode;

    use super::*;

    const MESSAGE: usize = 256;

    fn fifo(dir: &tempfile::TempDir) -> PathBuf {
        let path = dir.path().join("stdout");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a fifo");
        path
    }

    fn reader(path: &Path) -> File {
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).expect("a reader")
    }

    /// Message `number`, unlike all others.
    fn message(number: usize) -> [u8; MESSAGE] {
        std::array::from_fn(|at| (number * 7 + at) as u8)
    }

    /// Fills the FIFO; gives all bytes so far.
    fn fill(output: &mut Output) -> Vec<u8> {
        let mut written = Vec::new();
        while !output.blocked() {
            let message = message(written.len() / MESSAGE);
            output.write(&message).expect("written or kept");
            written.extend_from_slice(&message);
        }
        written
    }

    /// Everything that is there, with what the output still has.
    fn read_all(reader: &mut File, output: &mut Output) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let error = reader.read_to_end(&mut read).expect_err("there is a writer");
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            output.flush().expect("room");
            if output.unread() == 0 {
                return read;
            }
        }
    }

    #[test]
    fn a_reader_that_pauses_loses_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = fifo(&dir);
        let mut output = Output::open(&path).expect("open without a reader");
        let expected = fill(&mut output);
        assert_eq!(output.unread(), expected.len());
        assert!(expected.len() > 4096, "a fifo holds more than {} bytes", expected.len());
        let mut reader = reader(&path);
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

    #[test]
    fn what_nobody_reads_loses_its_oldest_bytes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = fifo(&dir);
        let mut output = Output::open(&path).expect("open without a reader");
        let mut written = fill(&mut output);
        assert!(output.deadline().is_some(), "somebody may come");
        output.hurry();
        output.flush().expect("room was made");
        for number in written.len() / MESSAGE..1000 {
            assert!(!output.blocked());
            output.write(&message(number)).expect("written");
            written.extend_from_slice(&message(number));
        }
        let read = read_all(&mut reader(&path), &mut output);
        assert!(written.ends_with(&read), "the newest bytes, in order");
        assert!(read.len() > 32 << 10 && read.len() < written.len(), "{}", read.len());
    }

    #[test]
    fn a_reader_who_does_not_read_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = fifo(&dir);
        let mut output = Output::open(&path).expect("open without a reader");
        output.hurry();
        let mut reader = reader(&path);
        let expected = fill(&mut output);
        output.flush().expect("kept");
        assert!(output.blocked());
        assert_eq!(read_all(&mut reader, &mut output), expected);
        // It goes: nothing is waited for any more, until the next one comes.
        drop(reader);
        let expected = fill_over(&mut output);
        let mut reader = self::reader(&path);
        let more = fill(&mut output);
        assert!([expected, more].concat().ends_with(&read_all(&mut reader, &mut output)));
    }

    /// Writes more than a FIFO holds, which nobody reads.
    fn fill_over(output: &mut Output) -> Vec<u8> {
        let mut written = Vec::new();
        for number in 0..1000 {
            output.write(&message(number)).expect("written");
            assert!(!output.blocked());
            written.extend_from_slice(&message(number));
        }
        written
    }

    #[test]
    fn a_missing_file_is_made_with_its_directories_and_appended_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b/log");
        for text in [b"one\n", b"two\n"] {
            Output::make(&path).expect("made").write(text).expect("written");
        }
        assert_eq!(std::fs::read(&path).expect("readable"), b"one\ntwo\n");
        assert!(Output::open(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn a_directory_and_a_device_are_no_streams() {
        for path in ["/", "/dev/zero"] {
            let error = Output::open(Path::new(path)).expect_err("refused").to_string();
            assert_eq!(error, "it must be a fifo or a regular file");
        }
    }

    #[test]
    fn a_dead_reader_of_a_pipe_is_an_error() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut output = Output::pipe(std::os::fd::OwnedFd::from(writer).into());
        output.write(b"x").expect("written");
        drop(reader);
        assert_eq!(output.write(b"y").expect_err("no reader").kind(), ErrorKind::BrokenPipe);
    }
}
