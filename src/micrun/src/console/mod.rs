//! Where console bytes go: the standard streams that containerd names for a container.
//!
//! Bytes pass unchanged. Nothing here blocks: output that a stream does not take now is kept, one message of it, and
//! the caller stops taking more from the remote until it is gone, so a slow reader slows its own container only.

mod input;
mod output;

pub use input::{Input, Read};
pub use output::Output;

use std::io;

/// The streams of one container, as Create names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Path of standard input, empty for none.
    pub stdin: String,
    /// Path of standard output, empty for none.
    pub stdout: String,
    /// Path of standard error, empty for none. An RTOS has one console, so nothing is ever written there.
    pub stderr: String,
    /// True if the client shows a terminal.
    pub terminal: bool,
}

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A URI scheme that this version does not know.
    #[error("{stream} {uri:?}: only paths of fifos and files are supported")]
    Scheme {
        /// Which stream.
        stream: &'static str,
        /// What was asked for.
        uri: String,
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
}

/// Open streams.
#[derive(Debug, Default)]
pub struct Console {
    /// Standard input until it is closed.
    pub input: Option<Input>,
    /// Standard output.
    pub output: Option<Output>,
}

impl Console {
    /// Opens the streams. Never blocks, whether or not anybody has the other end.
    pub fn open(streams: &Streams) -> Result<Console, StreamError> {
        Ok(Console {
            input: open("stdin", &streams.stdin, Input::open)?,
            output: open("stdout", &streams.stdout, Output::open)?,
        })
    }
}

fn open<T>(
    stream: &'static str,
    path: &str,
    open: impl FnOnce(&str) -> io::Result<T>,
) -> Result<Option<T>, StreamError> {
    if path.is_empty() || path == "/dev/null" {
        return Ok(None);
    }
    if path.contains("://") {
        return Err(StreamError::Scheme { stream, uri: path.to_owned() });
    }
    let opened = open(path);
    opened.map(Some).map_err(|source| StreamError::Open { stream, path: path.to_owned(), source })
}
