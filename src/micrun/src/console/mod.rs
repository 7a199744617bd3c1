//! Where console bytes go: the standard streams that containerd names for a container.
//!
//! Bytes pass unchanged. Nothing here blocks: output that a stream does not take now is kept, one message of it, and
//! the caller stops taking more from the remote until it is gone, so a slow reader slows its own container only.

mod input;
mod kind;
mod logger;
mod output;
mod pace;
mod ring;
mod uri;

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;
use std::time::Instant;

pub use input::{Input, Read};
use kind::{Kind, kind};
use logger::{Logger, LoggerError};
pub use output::Output;
use uri::{Program, Target, UriError};

use crate::bundle::User;
use crate::pedestal::nursery::Nursery;

/// The streams of one container, as Create names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Path or URI of standard input, empty for none.
    pub stdin: String,
    /// Path or URI of standard output, empty for none.
    pub stdout: String,
    /// Path or URI of standard error, empty for none. An RTOS has one console, so nothing is ever written there.
    pub stderr: String,
    /// True if the client shows a terminal.
    pub terminal: bool,
}

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Its name is none.
    #[error("{stream} {uri:?}: {source}")]
    Uri {
        /// Which stream.
        stream: &'static str,
        /// What was asked for.
        uri: String,
        /// Why.
        source: UriError,
    },
    /// The path cannot be opened.
    #[error("{stream} {path:?}: {source}")]
    Open {
        /// Which stream.
        stream: &'static str,
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The logger does not log.
    #[error("logger {path:?}: {source}")]
    Logger {
        /// The program.
        path: String,
        /// Why.
        source: LoggerError,
    },
}

impl StreamError {
    /// True if another version may know what was asked for.
    pub fn is_unknown(&self) -> bool {
        matches!(self, StreamError::Uri { source: UriError::Scheme, .. })
    }

    /// True if the caller is to blame, not the system.
    pub fn is_the_callers(&self) -> bool {
        matches!(self, StreamError::Uri { .. })
    }
}

/// Whose streams they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Id of the container.
    pub id: &'a str,
    /// containerd's namespace.
    pub namespace: &'a str,
    /// The user that the container's process would have.
    pub user: User,
    /// Starts loggers.
    pub nursery: &'a Nursery,
}

impl Owner<'_> {
    /// Gives a FIFO or a pipe to the container's user, so that what runs as that user may use it too.
    fn own(&self, stream: BorrowedFd<'_>) -> io::Result<()> {
        match self.user {
            User { uid: 0, gid: 0 } => Ok(()),
            User { uid, gid } => fchown(stream, Some(uid), Some(gid)),
        }
    }

    fn own_fifo(&self, stream: Option<BorrowedFd<'_>>) -> io::Result<()> {
        stream.map_or(Ok(()), |fifo| self.own(fifo))
    }
}

/// Open streams. Dropping it is the end of file that clients and loggers wait for.
#[derive(Debug, Default)]
pub struct Console {
    /// Standard input until it is closed.
    pub input: Option<Input>,
    /// Standard output.
    pub output: Option<Output>,
    /// Standard error: a FIFO or a pipe that only ever ends.
    stderr: Option<OwnedFd>,
    logger: Option<Logger>,
}

impl Console {
    /// Opens the streams. Never waits for a client at the other end, but for a logger to become ready. At most
    /// `input_rate` bytes of input pass per second, if it is given.
    pub fn open(
        streams: &Streams,
        owner: &Owner<'_>,
        input_rate: Option<u32>,
    ) -> Result<Console, StreamError> {
        let Streams { stdin, stdout, stderr, .. } = streams;
        let mut console = Console { input: open_input(stdin, owner, input_rate)?, ..Console::default() };
        let (output, error) = (target("stdout", stdout)?, target("stderr", stderr)?);
        match output {
            Target::Nothing => {}
            Target::Path(path) => console.output = Some(open_output(&path, Output::open, owner)?),
            Target::File(path) => console.output = Some(open_output(&path, Output::make, owner)?),
            Target::Logger(program) => console.log_to(&program, owner)?,
        }
        // A logger of its own would have nothing to log, and neither has a file.
        if let Target::Path(path) = error {
            console.stderr = open_silent(&path, owner).map_err(|source| failed("stderr", &path, source))?;
        }
        Ok(console)
    }

    /// Starts the logger. It is that of standard error as well.
    fn log_to(&mut self, program: &Program, owner: &Owner<'_>) -> Result<(), StreamError> {
        let path = || program.path.display().to_string();
        let started = Logger::start(program, owner);
        let (output, stderr, logger) =
            started.map_err(|source| StreamError::Logger { path: path(), source })?;
        (self.output, self.stderr, self.logger) = (Some(output), Some(stderr), Some(logger));
        Ok(())
    }

    /// When the streams are to be looked at although they say nothing.
    pub fn deadline(&self) -> Option<Instant> {
        let input = self.input.as_ref().and_then(Input::deadline);
        let output = self.output.as_ref().and_then(Output::deadline);
        input.into_iter().chain(output).min()
    }
}

fn target(stream: &'static str, name: &str) -> Result<Target, StreamError> {
    uri::parse(name).map_err(|source| wrong(stream, name, source))
}

fn wrong(stream: &'static str, uri: &str, source: UriError) -> StreamError {
    StreamError::Uri { stream, uri: uri.to_owned(), source }
}

fn failed(stream: &'static str, path: &Path, source: io::Error) -> StreamError {
    StreamError::Open { stream, path: path.display().to_string(), source }
}

fn open_input(name: &str, owner: &Owner<'_>, rate: Option<u32>) -> Result<Option<Input>, StreamError> {
    match target("stdin", name)? {
        Target::Nothing => Ok(None),
        Target::Path(path) | Target::File(path) => {
            let opened = Input::open(&path, rate);
            let opened = opened.and_then(|input| owner.own_fifo(input.pollable()).map(|()| input));
            opened.map(Some).map_err(|source| failed("stdin", &path, source))
        }
        Target::Logger(_) => Err(wrong("stdin", name, UriError::Input)),
    }
}

fn open_output(
    path: &Path,
    open: impl FnOnce(&Path) -> io::Result<Output>,
    owner: &Owner<'_>,
) -> Result<Output, StreamError> {
    let opened = open(path).and_then(|output| owner.own_fifo(output.pollable()).map(|()| output));
    opened.map_err(|source| failed("stdout", path, source))
}

/// A writing end of the FIFO at `path` for as long as the container runs; its client waits for the end of it.
fn open_silent(path: &Path, owner: &Owner<'_>) -> io::Result<Option<OwnedFd>> {
    if kind(path)? == Kind::File {
        return Ok(None);
    }
    // With a reading end too: without a reader the writing end alone cannot be opened.
    let mut both = OpenOptions::new();
    let fifo = both.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    owner.own(fifo.as_fd())?;
    Ok(Some(fifo.into()))
}
