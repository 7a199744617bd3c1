//! Stands between `ctr` and containerd and stops the one request that a round is about, so that a kill hits it at a
//! chosen moment and not the start of a Go program.
//!
//! Of HTTP/2 it knows as much as that takes: frames, and that every request begins with a HEADERS frame.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qemu_tests::{Ctr, wait_for};
use tempfile::tempfile;

use crate::bench::readable;

/// For what must happen: every call of `ctr` ends, whatever died.
const DEADLINE: Duration = Duration::from_secs(60);
/// Length of what an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: u64 = 24;
/// Type of the frame that begins a request, an answer, or ends an answer.
const HEADERS: u8 = 1;
/// Flag of the last frame of an answer.
const END_STREAM: u8 = 1;

/// Where the gate is.
pub(super) struct Gate {
    socket: PathBuf,
    containerd: PathBuf,
}

/// A running `ctr` whose requests pass the gate.
pub(super) struct Call {
    child: Child,
    complaint: File,
    /// A request was stopped.
    stopped: Receiver<()>,
    go_on: Sender<()>,
    /// A request was answered in full.
    answered: Receiver<Instant>,
}

impl Gate {
    /// A gate before the socket of `containerd`, beside it.
    pub(super) fn new(containerd: &Path) -> Self {
        Self { socket: containerd.with_extension("gate"), containerd: containerd.to_path_buf() }
    }

    /// Starts `ctr arguments...`, and stops its request number `stop` and every later one.
    ///
    /// # Errors
    /// `ctr` does not come to the gate, or containerd does not listen.
    pub(super) fn call(&self, ctr: &Ctr, arguments: &[&str], stop: usize) -> Result<Call> {
        let complaint = tempfile()?;
        let listener = UnixListener::bind(&self.socket)?;
        let mut command = ctr.clone().at(&self.socket).command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaint.try_clone()?);
        let child = command.spawn().context("cannot start ctr")?;
        readable(&listener, DEADLINE).context("ctr at the gate")?;
        let (client, _) = listener.accept()?;
        // `ctr` tries again when its connection breaks; the next one must not be taken for this one.
        drop(listener);
        fs::remove_file(&self.socket)?;
        let server = UnixStream::connect(&self.containerd)?;
        let (stopping, stopped) = channel();
        let (go_on, waiting) = channel();
        let (answering, answered) = channel();
        let (answers, questions) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            // Either side's end is the end of both.
            let _ = up(&client, &server, stop, &stopping, &waiting);
            close(&client, &server);
        });
        thread::spawn(move || {
            let _ = down(&answers, &questions, &answering);
            close(&answers, &questions);
        });
        Ok(Call { child, complaint, stopped, go_on, answered })
    }
}

impl Call {
    /// Waits until the next request is stopped.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn stopped(&mut self) -> Result<()> {
        if self.stopped.recv_timeout(DEADLINE).is_err() {
            let _ = self.child.kill();
            self.child.wait()?;
            bail!("ctr did not make the request: {}", text(&mut self.complaint)?);
        }
        // What was answered before is nobody's business.
        self.answered.try_iter().for_each(drop);
        Ok(())
    }

    /// Lets the stopped request go on.
    ///
    /// # Errors
    /// `ctr` is gone.
    pub(super) fn go_on(&self) -> Result<()> {
        self.go_on.send(()).context("ctr is gone")
    }

    /// Waits for the answer, and tells when it came.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn answered(&self) -> Result<Instant> {
        self.answered.recv_timeout(DEADLINE).context("no answer")
    }

    /// Lets every request through and counts them; `ctr` must succeed.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn count(self) -> Result<usize> {
        let mut requests = 0;
        while self.stopped.recv_timeout(DEADLINE).is_ok() {
            requests += 1;
            self.go_on()?;
        }
        self.end().map(|_| requests)
    }

    /// Waits for the end of `ctr`, and gives what it complained of. What it has not asked by now it does not get.
    ///
    /// # Errors
    /// It does not end.
    pub(super) fn end(self) -> Result<String> {
        let Self { mut child, mut complaint, go_on, .. } = self;
        drop(go_on);
        let ended = wait_for("the end of ctr", DEADLINE, || child.try_wait().transpose());
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        ended??;
        text(&mut complaint)
    }
}

fn text(file: &mut File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.trim_end().to_owned())
}

fn up(
    client: &UnixStream,
    server: &UnixStream,
    stop: usize,
    stopping: &Sender<()>,
    go_on: &Receiver<()>,
) -> io::Result<()> {
    let (mut from, mut to) = (client, server);
    io::copy(&mut from.take(PREFACE), &mut to)?;
    let mut requests = 0;
    loop {
        let frame = Frame::read(&mut from)?;
        requests += usize::from(frame.kind() == HEADERS);
        if frame.kind() == HEADERS && requests >= stop {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            stopping.send(()).map_err(|error| gone(error.to_string()))?;
            go_on.recv().map_err(|error| gone(error.to_string()))?;
        }
        frame.pass(&mut from, &mut to)?;
    }
}

fn down(server: &UnixStream, client: &UnixStream, answered: &Sender<Instant>) -> io::Result<()> {
    let (mut from, mut to) = (server, client);
    loop {
        let frame = Frame::read(&mut from)?;
        if frame.kind() == HEADERS && frame.flags() & END_STREAM != 0 {
            // Nobody may want to know.
            let _ = answered.send(Instant::now());
        }
        frame.pass(&mut from, &mut to)?;
    }
}

fn close(one: &UnixStream, other: &UnixStream) {
    // Fails only where the other side was faster.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// The head of a frame: three bytes of length, type, flags, four bytes of stream.
struct Frame([u8; 9]);

impl Frame {
    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 9];
        from.read_exact(&mut head)?;
        Ok(Self(head))
    }

    fn kind(&self) -> u8 {
        self.0[3]
    }

    fn flags(&self) -> u8 {
        self.0[4]
    }

    fn len(&self) -> u64 {
        let [high, middle, low, ..] = self.0;
        u64::from(u32::from_be_bytes([0, high, middle, low]))
    }

    /// Hands the frame over, content included.
    fn pass(self, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.0)?;
        io::copy(&mut from.take(self.len()), to).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 9] = [0, 0, 2, 6, 0, 0, 0, 0, 0];
    const REQUEST: [u8; 9] = [0, 0, 1, HEADERS, 4, 0, 0, 0, 1];

    #[test]
    fn a_frame_goes_on_whole() {
        let bytes = [&PING[..], b"ab", &REQUEST[..], b"c"].concat();
        let (mut from, mut to) = (&bytes[..], Vec::new());
        for kind in [6, HEADERS] {
            let frame = Frame::read(&mut from).unwrap();
            assert_eq!(frame.kind(), kind);
            frame.pass(&mut from, &mut to).unwrap();
        }
        assert_eq!(to, bytes);
        assert!(Frame::read(&mut from).is_err());
    }

    #[test]
    fn the_chosen_request_waits_and_the_others_do_not() {
        let (client, mut ctr) = UnixStream::pair().unwrap();
        let (server, mut containerd) = UnixStream::pair().unwrap();
        let ((stopping, stopped), (go_on, waiting)) = (channel(), channel());
        let gate = thread::spawn(move || up(&client, &server, 2, &stopping, &waiting));
        let preface = [b'p'; PREFACE as usize];
        let both = [&preface[..], &REQUEST, b"1", &PING, b"ab", &REQUEST, b"2"].concat();
        ctr.write_all(&both).unwrap();
        stopped.recv_timeout(DEADLINE).unwrap();
        let mut passed = vec![0; both.len() - REQUEST.len() - 1];
        containerd.read_exact(&mut passed).unwrap();
        assert!(both.starts_with(&passed));
        containerd.set_nonblocking(true).unwrap();
        assert!(containerd.read(&mut [0]).is_err());
        go_on.send(()).unwrap();
        readable(&containerd, DEADLINE).unwrap();
        drop((go_on, ctr));
        assert!(gate.join().unwrap().is_err());
    }
}
