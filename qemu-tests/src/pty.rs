//! A terminal with a program in it, and something that types and reads as a person would.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::command::{display, wait};

/// Size of a new terminal, rows and columns: what a serial console has had since the VT100.
const SIZE: (u16, u16) = (24, 80);
/// How much of the transcript an error shows: its end, a screenful.
const SHOWN: usize = 2000;

/// A program on a terminal of its own (controlling terminal, own session).
///
/// Dropping it kills the program, as closing a terminal window would.
#[derive(Debug)]
pub struct Pty {
    name: String,
    keyboard: File,
    child: Child,
    screen: Arc<Screen>,
    seen: usize,
}

/// What the reading thread and the test share.
#[derive(Debug, Default)]
struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shown {
    bytes: Vec<u8>,
    ended: bool,
    paused: bool,
}

impl Pty {
    /// Starts `command` on a new terminal of 24 rows and 80 columns.
    ///
    /// # Errors
    /// No terminal is free, or the program can't be started.
    pub fn spawn(command: &Command) -> Result<Self> {
        Self::spawn_with(command, OutputModes::empty())
    }

    /// The same on a terminal that does not put a carriage return before each line feed.
    ///
    /// # Errors
    /// As [`Pty::spawn`].
    pub fn spawn_unchanged(command: &Command) -> Result<Self> {
        Self::spawn_with(command, OutputModes::ONLCR)
    }

    fn spawn_with(command: &Command, off: OutputModes) -> Result<Self> {
        let name = display(command);
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let terminal = open(
            ptsname(&keyboard, Vec::new())?,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut settings = tcgetattr(&terminal)?;
        settings.output_modes.remove(off);
        tcsetattr(&terminal, OptionalActions::Now, &settings)?;
        tcsetwinsize(&terminal, size(SIZE.0, SIZE.1))?;
        let child = spawn_on(command, terminal).with_context(|| format!("cannot start {name}"))?;
        let keyboard = File::from(keyboard);
        let screen = Arc::new(Screen::default());
        let (reader, written) = (keyboard.try_clone()?, Arc::clone(&screen));
        thread::spawn(move || written.fill_from(reader));
        Ok(Self { name, keyboard, child, screen, seen: 0 })
    }

    /// Types `keys`. Waits without a deadline once the terminal's buffer (4 KiB) is full and the program does not
    /// read: type no more than that to a program that may not.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn send(&mut self, keys: &[u8]) -> Result<()> {
        self.keyboard.write_all(keys).with_context(|| format!("cannot type to {}", self.name))
    }

    /// Reads on until `pattern` has come; gives everything since the last reading, `pattern` included.
    ///
    /// # Errors
    /// `pattern` has not come by the deadline or by the end of the output; the error shows what came instead.
    pub fn expect(&mut self, pattern: &str, deadline: Duration) -> Result<String> {
        let mut scanned = self.seen;
        let found = self.screen.wait(deadline, |bytes| {
            let start = scanned.saturating_sub(pattern.len()).max(self.seen);
            scanned = bytes.len();
            find(bytes.get(start..)?, pattern.as_bytes()).map(|at| start + at + pattern.len())
        });
        let Some(end) = found else { bail!(self.missing(&format!("{pattern:?}"), deadline)) };
        Ok(String::from_utf8_lossy(&self.read_up_to(end)).into_owned())
    }

    /// Reads on until `len` more bytes have come, and gives exactly these.
    ///
    /// # Errors
    /// Fewer came by the deadline or by the end of the output.
    pub fn take(&mut self, len: usize, deadline: Duration) -> Result<Vec<u8>> {
        let end = self.seen + len;
        match self.screen.wait(deadline, |bytes| (bytes.len() >= end).then_some(())) {
            Some(()) => Ok(self.read_up_to(end)),
            None => bail!(self.missing(&format!("{len} bytes"), deadline)),
        }
    }

    /// Everything that came so far, read or not.
    #[must_use]
    pub fn transcript(&self) -> Vec<u8> {
        self.screen.shown().bytes.clone()
    }

    /// Stops reading: the terminal's buffer fills up, as under a person who pressed Ctrl-S. A read that is under
    /// way may still bring one last piece.
    pub fn pause(&self) {
        self.screen.set_paused(true);
    }

    /// Reads again after [`Pty::pause`].
    pub fn resume(&self) {
        self.screen.set_paused(false);
    }

    /// Gives the terminal another size; the program gets SIGWINCH.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        Ok(tcsetwinsize(&self.keyboard, size(rows, columns))?)
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// It still runs at the deadline; the error shows the end of its transcript.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        wait(&mut self.child, &self.name, deadline).with_context(|| self.tail())
    }

    /// Leaves at once without a word to the program's peer, as a lost connection would: SIGKILL. (`ctr` has no
    /// detach key; what it is attached to goes on.)
    ///
    /// # Errors
    /// The program can't be signalled or waited for.
    pub fn detach(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn read_up_to(&mut self, end: usize) -> Vec<u8> {
        let start = std::mem::replace(&mut self.seen, end);
        self.screen.shown().bytes.get(start..end).unwrap_or_default().to_vec()
    }

    fn missing(&self, what: &str, deadline: Duration) -> String {
        let end = if self.screen.shown().ended { " (the output has ended)" } else { "" };
        format!("{}: no {what} within {deadline:?}{end}: {}", self.name, self.tail())
    }

    fn tail(&self) -> String {
        let shown = self.screen.shown();
        let start = shown.bytes.len().saturating_sub(SHOWN);
        format!("the transcript ends in {:?}", String::from_utf8_lossy(&shown.bytes[start..]))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.resume();
    }
}

impl Screen {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().expect("the reader panicked")
    }

    fn set_paused(&self, paused: bool) {
        self.shown().paused = paused;
        self.changed.notify_all();
    }

    /// Reads until the last program on the terminal is gone (EIO) or nobody is left who would look.
    fn fill_from(&self, mut terminal: File) {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let shown = self.shown();
            drop(self.changed.wait_while(shown, |shown| shown.paused));
            let len = match terminal.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            self.shown().bytes.extend_from_slice(&piece[..len]);
            self.changed.notify_all();
        }
        self.shown().ended = true;
        self.changed.notify_all();
    }

    /// Waits until `found` finds something in the transcript; `None` at the deadline or the end of the output.
    fn wait<T>(&self, deadline: Duration, mut found: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        let mut shown = self.shown();
        loop {
            if let Some(value) = found(&shown.bytes) {
                return Some(value);
            }
            let left = deadline.saturating_sub(start.elapsed());
            if shown.ended || left.is_zero() {
                return None;
            }
            shown = self.changed.wait_timeout(shown, left).expect("the reader panicked").0;
        }
    }
}

/// Starts `command` through `setsid`, which makes the terminal the controlling one of a new session and then
/// becomes the program itself: the child's pid is the program's.
fn spawn_on(command: &Command, terminal: OwnedFd) -> Result<Child> {
    let mut session = Command::new("setsid");
    session.arg("-c").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal);
    Ok(session.spawn()?)
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    if pattern.is_empty() {
        return Some(0);
    }
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
