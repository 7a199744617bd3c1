//! The emulator's monitor: QMP, lines of JSON in both directions (QEMU `docs/interop/qmp-spec.rst`).
//!
//! What comes from the emulator is not trusted: lines and waits are bounded, and what is not understood is passed over.
//! Events are taken when they come, or a firmware that causes many (it can set the clock) would fill the socket, and the
//! last one, which tells why the machine ended, would find no room.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use super::super::MachineError;

/// QEMU answers within 0.2 ms, 4 ms at most (measured 400 times on a machine with five times its load); longer means
/// that it hangs.
const DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of the longest line that is looked at; the greeting has 300.
const LINE_LIMIT: usize = 16 << 10;
/// Bytes taken from the socket at once.
const CHUNK: usize = 4 << 10;
/// Chunks taken at once: more than a socket holds (`net.core.wmem_default`, 208 KiB), so none is left of a dead QEMU.
const CHUNKS: usize = 128;
const WHAT: &str = "the emulator's monitor";

/// Our end of the connection.
#[derive(Debug)]
pub(super) struct Qmp {
    /// Neither reading nor writing blocks.
    stream: UnixStream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The beginning of a line.
    unread: Vec<u8>,
    /// Number of the last command.
    number: u64,
    /// The answer to that command, if it is here.
    answer: Option<Answer>,
    /// The guest asked for a reset of the machine, which ends it.
    reset: bool,
}

/// What QEMU says to a command: nothing, or why not.
type Answer = Result<(), String>;

impl Qmp {
    /// A connection, and the emulator's end of it. The handshake is written already: QEMU reads it when it comes to
    /// that, and nobody waits for the answer.
    pub(super) fn new() -> io::Result<(Qmp, OwnedFd)> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        let qmp = Qmp { stream, state: Mutex::default() };
        qmp.write("qmp_capabilities", 0)?;
        Ok((qmp, theirs.into()))
    }

    /// Readable when there are events to be taken, by [`Qmp::take_events`].
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Takes what has come, unless a command is under way, which does it too.
    pub(super) fn take_events(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            // The end of the connection is no news: the process's own end tells.
            let _ = self.take(&mut state);
        }
    }

    /// Whether the guest asked for a reset. To be called when QEMU has ended: whoever holds the lock gives it back now.
    pub(super) fn was_reset(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let _ = self.take(&mut state);
        state.reset
    }

    /// Halts all cores.
    pub(super) fn stop(&self) -> Result<(), MachineError> {
        self.switch("stop", "cont")
    }

    /// Lets them go on.
    pub(super) fn cont(&self) -> Result<(), MachineError> {
        self.switch("cont", "stop")
    }

    /// Has a command done. One that is not answered in time is taken back: a hanging QEMU that comes to itself finds both.
    fn switch(&self, command: &str, back: &str) -> Result<(), MachineError> {
        let mut state = self.state.lock().unwrap();
        self.command(&mut state, command).inspect_err(|_| {
            state.number += 1;
            let _ = self.write(back, state.number);
        })
    }

    fn command(&self, state: &mut State, command: &str) -> Result<(), MachineError> {
        state.number += 1;
        state.answer = None;
        self.write(command, state.number).map_err(MachineError::system(WHAT))?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ended = self.take(state);
            if let Some(answer) = state.answer.take() {
                return answer.map_err(|refusal| MachineError::system(WHAT)(io::Error::other(refusal)));
            }
            ended.and_then(|()| self.wait(deadline)).map_err(|error| match error.kind() {
                ErrorKind::TimedOut => MachineError::Timeout { whom: WHAT, millis: DEADLINE.as_millis() },
                _ => MachineError::system(WHAT)(error),
            })?;
        }
    }

    /// Writes a line, which is far smaller than the socket: there is no room only if QEMU has long stopped reading.
    fn write(&self, command: &str, number: u64) -> io::Result<()> {
        let line = format!("{{\"execute\":\"{command}\",\"id\":{number}}}\n");
        (&self.stream).write_all(line.as_bytes())
    }

    /// Takes all lines that are here.
    fn take(&self, state: &mut State) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        for _ in 0..CHUNKS {
            match (&self.stream).read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => state.read(chunk.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until there is something to be taken.
    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl State {
    /// Reads what came. Of a line that is too long only an end is left, which is not JSON.
    fn read(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.unread.len() > LINE_LIMIT {
                self.unread.clear();
            }
            self.unread.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.unread);
                self.understand(&line);
            }
        }
    }

    /// The greeting, answers to earlier commands and most events say nothing that is needed.
    fn understand(&mut self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { return };
        if message["event"] == "SHUTDOWN" {
            self.reset = message["data"]["reason"] == "guest-reset";
        } else if message["id"] == self.number {
            self.answer = Some(match message.get("error") {
                None => Ok(()),
                Some(error) => Err(error["desc"].as_str().unwrap_or("refused").to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;

    /// The emulator's end: reads commands, says what a test wants.
    struct Emulator {
        commands: BufReader<UnixStream>,
    }

    fn connected() -> (Arc<Qmp>, Emulator) {
        let (qmp, theirs) = Qmp::new().expect("sockets");
        let mut emulator = Emulator { commands: BufReader::new(UnixStream::from(theirs)) };
        emulator.say(GREETING);
        assert_eq!(emulator.command(), ("qmp_capabilities".to_owned(), 0));
        emulator.say(r#"{"return": {}, "id": 0}"#);
        (Arc::new(qmp), emulator)
    }

    impl Emulator {
        fn say(&mut self, line: &str) {
            self.commands.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("room");
        }

        fn command(&mut self) -> (String, u64) {
            let mut line = String::new();
            self.commands.read_line(&mut line).expect("a line");
            let command: Value = serde_json::from_str(&line).expect("json");
            (command["execute"].as_str().expect("a name").to_owned(), command["id"].as_u64().expect("an id"))
        }
    }

    fn stopping(qmp: &Arc<Qmp>) -> thread::JoinHandle<Result<(), MachineError>> {
        let qmp = qmp.clone();
        thread::spawn(move || qmp.stop())
    }

    #[test]
    fn a_command_is_done_when_its_own_answer_comes() {
        let (qmp, mut emulator) = connected();
        let stop = stopping(&qmp);
        assert_eq!(emulator.command(), ("stop".to_owned(), 1));
        for line in [
            r#"{"event": "STOP", "timestamp": {}}"#,
            r#"{"return": {}, "id": 0}"#,
            "nonsense",
            "[1]",
            "\"event\"",
            &"x".repeat(3 * LINE_LIMIT),
            r#"{"return": {}, "id": 1}"#,
        ] {
            emulator.say(line);
        }
        stop.join().expect("no panic").expect("stopped");
    }

    #[test]
    fn a_refusal_is_quoted_and_taken_back() {
        let (qmp, mut emulator) = connected();
        let stop = stopping(&qmp);
        assert_eq!(emulator.command(), ("stop".to_owned(), 1));
        emulator.say(r#"{"id": 1, "error": {"class": "GenericError", "desc": "not now"}}"#);
        let refusal = stop.join().expect("no panic").expect_err("refused").to_string();
        assert_eq!(refusal, "the emulator's monitor: not now");
        assert_eq!(emulator.command(), ("cont".to_owned(), 2));
    }

    #[test]
    fn silence_has_an_end_and_a_late_answer_is_not_the_next_one_s() {
        let (qmp, mut emulator) = connected();
        let silence = qmp.stop().expect_err("no answer").to_string();
        assert_eq!(silence, "no answer from the emulator's monitor within 2000 ms");
        emulator.say(r#"{"return": {}, "id": 1}"#);
        emulator.say(r#"{"return": {}, "id": 2}"#);
        let stop = stopping(&qmp);
        let commands = [(); 3].map(|()| emulator.command());
        assert_eq!(commands.map(|(_, id)| id), [1, 2, 3]);
        emulator.say(r#"{"id": 3, "error": {"desc": "its own"}}"#);
        assert!(stop.join().expect("no panic").is_err());
    }

    #[test]
    fn a_dead_emulator_answers_at_once() {
        let (qmp, emulator) = connected();
        drop(emulator);
        assert!(qmp.stop().is_err());
        assert!(!qmp.was_reset());
    }

    #[test]
    fn only_the_shutdown_event_tells_of_a_reset() {
        let told = |lines: &[&str]| {
            let (qmp, mut emulator) = connected();
            lines.iter().for_each(|line| emulator.say(line));
            qmp.take_events();
            drop(emulator);
            qmp.was_reset()
        };
        let reset = r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#;
        assert!(told(&[r#"{"event": "RTC_CHANGE", "data": {"offset": 1}}"#, reset]));
        assert!(!told(&[r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#]));
        assert!(!told(&[r#"{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#]));
        assert!(!told(&[r#"{"event": "SHUTDOWN", "data": 7}"#]));
        assert!(!told(&[]));
    }
}
