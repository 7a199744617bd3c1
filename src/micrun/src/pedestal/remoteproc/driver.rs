//! What Linux does with a core: start, stop, and the traps on the way. Nothing here looks at the kernel's version: after
//! every write the state is read again, as success may mean several things.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use super::error::RemoteprocError;
use super::sysfs::Attributes;

/// Starts that somebody else may have counted before us, each of which takes a stop (`auto_boot` has one).
const STOPS: usize = 8;
/// Lines of the kernel's log that an error repeats.
const LINES: usize = 3;

/// What Linux says of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Offline,
    Running,
    Attached,
    Crashed,
    /// A word that is not for us to act on.
    Other(String),
}

impl State {
    fn of(word: String) -> State {
        match word.as_str() {
            "offline" => State::Offline,
            "running" => State::Running,
            "attached" => State::Attached,
            "crashed" => State::Crashed,
            _ => State::Other(word),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            State::Offline => "offline",
            State::Running => "running",
            State::Attached => "attached",
            State::Crashed => "crashed",
            State::Other(word) => word,
        }
    }
}

/// One core of Linux's remoteproc.
pub(super) struct Driver {
    pub(super) core: String,
    pub(super) attributes: Box<dyn Attributes>,
}

impl Driver {
    pub(super) fn state(&self) -> Result<State, RemoteprocError> {
        Ok(State::of(self.read("state")?))
    }

    /// Boots the file of that name on a core that is off.
    pub(super) fn start(&self, file: &str) -> Result<(), RemoteprocError> {
        // A signal while it waits is told as this, too.
        if self.write("firmware", file).is_err_and(|error| is_invalid(&error)) {
            self.write("firmware", file)?;
        }
        let kept = self.read("firmware")?;
        if kept != file {
            return Err(self.stuck("firmware", kept, "linux keeps another firmware's name"));
        }
        self.write("state", "start")?;
        match self.state()? {
            State::Running | State::Crashed => Ok(()),
            state => Err(self.stuck(
                "start",
                state.as_str().to_owned(),
                "a recovery has failed before; unbind the core's driver and bind it again, or reset the board",
            )),
        }
    }

    /// Ends whatever the core runs; done if it is off, or its driver gone.
    pub(super) fn stop(&self) -> Result<(), RemoteprocError> {
        for _ in 0..STOPS {
            match self.state().or_else(off_if_gone)? {
                State::Offline => return Ok(()),
                State::Crashed => self.clear_crash()?,
                State::Running | State::Attached => self.write("state", "stop")?,
                State::Other(state) => return Err(self.in_use(state)),
            }
        }
        match self.state().or_else(off_if_gone)? {
            State::Offline => Ok(()),
            state => {
                let remedy = "others have started it as well, or the core's driver boots it by itself";
                Err(self.stuck("stop", state.as_str().to_owned(), remedy))
            }
        }
    }

    /// Some kernels do not stop a crashed core before it was recovered, which boots the same file once more.
    fn clear_crash(&self) -> Result<(), RemoteprocError> {
        match self.write("state", "stop") {
            Err(error) if is_invalid(&error) => self.write("recovery", "recover"),
            done => done,
        }
    }

    /// Whether Linux starts a crashed core again by itself; `None` if it cannot be told to.
    pub(super) fn recovery(&self) -> Option<String> {
        self.attributes.read("recovery").ok()
    }

    pub(super) fn set_recovery(&self, word: &str) -> Result<(), RemoteprocError> {
        self.write("recovery", word)
    }

    pub(super) fn in_use(&self, state: String) -> RemoteprocError {
        RemoteprocError::InUse { core: self.core.clone(), state }
    }

    fn stuck(&self, word: &'static str, state: String, remedy: &'static str) -> RemoteprocError {
        RemoteprocError::Stuck { core: self.core.clone(), word, state, remedy }
    }

    fn read(&self, attribute: &'static str) -> Result<String, RemoteprocError> {
        let failed = |source| RemoteprocError::Read { core: self.core.clone(), attribute, source };
        self.attributes.read(attribute).map_err(failed)
    }

    fn write(&self, attribute: &'static str, word: &str) -> Result<(), RemoteprocError> {
        let state = self.read("state")?;
        let log = KernelLog::from_now();
        self.attributes.write(attribute, word).map_err(|source| RemoteprocError::Write {
            core: self.core.clone(),
            state,
            word: word.to_owned(),
            attribute,
            source,
            log: log.map(|log| log.of(&self.core)).unwrap_or_default(),
        })
    }
}

/// A driver that goes stops its cores.
fn off_if_gone(error: RemoteprocError) -> Result<State, RemoteprocError> {
    match error {
        RemoteprocError::Read { source, .. } if source.kind() == ErrorKind::NotFound => Ok(State::Offline),
        error => Err(error),
    }
}

fn is_invalid(error: &RemoteprocError) -> bool {
    matches!(error, RemoteprocError::Write { source, .. } if source.kind() == ErrorKind::InvalidInput)
}

/// The kernel's log from some time on. It alone says why something was refused.
struct KernelLog(std::fs::File);

impl KernelLog {
    /// `None` if we may not read it.
    fn from_now() -> Option<KernelLog> {
        let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
        log.seek(SeekFrom::End(0)).ok()?;
        Some(KernelLog(log))
    }

    /// The last lines that speak of `core`, each after a separator.
    fn of(mut self, core: &str) -> String {
        let mut lines = Vec::new();
        let mut record = [0; 8 << 10];
        loop {
            // One record each time.
            match self.0.read(&mut record) {
                Ok(len) if len > 0 => lines.extend(message(&record[..len], core)),
                Err(error) if lost_some(&error) => {}
                _ => break,
            }
        }
        lines.split_off(lines.len().saturating_sub(LINES)).concat()
    }
}

/// The text of a record (`Documentation/ABI/testing/dev-kmsg`), if it speaks of `core`.
fn message(record: &[u8], core: &str) -> Option<String> {
    let text = String::from_utf8_lossy(record);
    let (_, text) = text.split_once(';')?;
    let line = text.lines().next().filter(|line| line.contains(core))?;
    Some(format!("; {}", line.chars().filter(|c| !c.is_control()).take(200).collect::<String>()))
}

/// Records were overwritten before they were read.
fn lost_some(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPIPE | libc::EINTR))
}
