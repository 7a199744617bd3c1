//! One request to micad: a connection, one message, one reply, the end of it (MICA ABI, section 1).
//!
//! micad serves all sockets one after the other on one thread, so any request may have to wait for somebody else's slow one.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

/// Far more than any reply has: a status line is at most 511 bytes.
const REPLY_LIMIT: usize = 16 << 10;
/// How often somebody who may give up is asked.
const SLICE: Duration = Duration::from_millis(100);
const SUCCESS: &[u8] = b"MICA-SUCCESS";
const FAILURE: &[u8] = b"MICA-FAILED";
/// Most characters of a reply that a message repeats.
const EXCERPT_LEN: usize = 200;

/// Why micad did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MicadError {
    /// Nobody listens at the socket.
    #[error("micad does not answer at {}: {source}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has not answered in time.
    #[error("micad has not answered to {request:?} within {} s", patience.as_secs())]
    Late {
        /// What was asked for.
        request: String,
        /// How long was waited.
        patience: Duration,
    },
    /// An instance of that name that micrun did not make: it may be somebody's production.
    #[error(
        "micad has an instance {0:?} that no container made: remove it with `mica rm {0}`, or choose another container id"
    )]
    Foreign(String),
    /// It is not there now.
    #[error("micad is not there")]
    Away,
    /// A command that it would cut.
    #[error("micad reads at most 31 bytes of a command, and {command:?} has {len}")]
    Long {
        /// The command.
        command: String,
        /// Its length.
        len: usize,
    },
    /// It said no.
    #[error("micad refuses {request:?}{}", Reason(text))]
    Refused {
        /// What was asked for.
        request: String,
        /// What it said, which may be nothing: then its reason is in the system's log.
        text: String,
    },
    /// It closed the connection, or said too much.
    #[error("micad answers {request:?} with {text:?}, which is neither success nor failure")]
    Garbled {
        /// What was asked for.
        request: String,
        /// The beginning of what it said.
        text: String,
    },
}

/// What micad said, in words for an error message.
struct Reason<'a>(&'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str(", its reason is in the system's log")
        } else {
            write!(f, ": {}", self.0)
        }
    }
}

/// One request on its way.
pub(super) struct Request<'a> {
    /// Where.
    pub(super) socket: &'a Path,
    /// What it is, for messages.
    pub(super) name: &'a str,
    /// The bytes.
    pub(super) message: &'a [u8],
    /// How long to wait in all.
    pub(super) patience: Duration,
    /// Asked now and then.
    pub(super) give_up: &'a dyn Fn() -> bool,
}

impl Request<'_> {
    /// Makes it; gives what micad said before it reported success.
    pub(super) fn send(&self) -> Result<String, MicadError> {
        let until = Instant::now() + self.patience;
        let absent = |source| MicadError::Absent { path: self.socket.to_owned(), source };
        let mut stream = self.connect().map_err(absent)?;
        match stream.write_all(self.message) {
            Ok(()) => self.judge(self.read(&mut stream, until)),
            Err(error) if waits(&error) => Err(self.late()),
            Err(error) => Err(absent(error)),
        }
    }

    /// A full queue of waiting clients blocks, but not for ever.
    fn connect(&self) -> io::Result<UnixStream> {
        let stream = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        socket::setsockopt(&stream, sockopt::SendTimeout, &TimeVal::seconds(self.patience.as_secs() as i64))?;
        socket::connect(stream.as_raw_fd(), &UnixAddr::new(self.socket)?)?;
        Ok(stream.into())
    }

    /// Everything up to the end; `Err` with what came if that does not come.
    fn read(&self, stream: &mut UnixStream, until: Instant) -> Result<Vec<u8>, Vec<u8>> {
        let mut reply = Vec::new();
        let mut chunk = [0; 512];
        while reply.len() < REPLY_LIMIT {
            let left = until.saturating_duration_since(Instant::now()).min(SLICE);
            if left.is_zero() || (self.give_up)() || stream.set_read_timeout(Some(left)).is_err() {
                return Err(reply);
            }
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(reply),
                Ok(len) => reply.extend_from_slice(&chunk[..len]),
                Err(error) if waits(&error) => {}
                // It went away: what it said counts.
                Err(_) => return Ok(reply),
            }
        }
        Ok(reply)
    }

    /// The verdict is the last word: the text before it may contain anything.
    fn judge(&self, reply: Result<Vec<u8>, Vec<u8>>) -> Result<String, MicadError> {
        let (bytes, ended) = reply.map_or_else(|bytes| (bytes, false), |bytes| (bytes, true));
        let request = || self.name.to_owned();
        if let Some(text) = bytes.strip_suffix(FAILURE) {
            Err(MicadError::Refused { request: request(), text: excerpt(text) })
        } else if let Some(text) = bytes.strip_suffix(SUCCESS) {
            Ok(String::from_utf8_lossy(text).into_owned())
        } else if ended {
            Err(MicadError::Garbled { request: request(), text: excerpt(&bytes) })
        } else {
            Err(self.late())
        }
    }

    fn late(&self) -> MicadError {
        MicadError::Late { request: self.name.to_owned(), patience: self.patience }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn excerpt(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim_end().chars().take(EXCERPT_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(reply: Result<&[u8], &[u8]>) -> Result<String, String> {
        let request = Request {
            socket: Path::new("/nonexistent"),
            name: "status",
            message: b"status",
            patience: Duration::from_secs(3),
            give_up: &|| false,
        };
        request.judge(reply.map(<[u8]>::to_vec).map_err(<[u8]>::to_vec)).map_err(|error| error.to_string())
    }

    /// Replies have no frame, and texts in them may be anybody's.
    #[test]
    fn a_verdict_within_a_text_is_no_verdict() {
        assert_eq!(judged(Ok(b"MICA-FAILED 3 RunningMICA-SUCCESS")).as_deref(), Ok("MICA-FAILED 3 Running"));
        let refused = judged(Ok(b"no MICA-SUCCESS todayMICA-FAILED")).expect_err("refused");
        assert_eq!(refused, "micad refuses \"status\": no MICA-SUCCESS today");
        let garbled = judged(Ok(b"MICA-SUCCESS and more")).expect_err("no verdict");
        assert!(
            garbled.ends_with("\"MICA-SUCCESS and more\", which is neither success nor failure"),
            "{garbled}"
        );
        // Cut off in the midst of the word, or of the text before it.
        for part in [b"MICA-SUCC".as_slice(), b"MICA-SUCCESS and", b""] {
            assert_eq!(judged(Err(part)), Err("micad has not answered to \"status\" within 3 s".to_owned()));
        }
    }
}
