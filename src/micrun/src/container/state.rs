//! The states of a container.
//!
//! | from | to | by |
//! |---|---|---|
//! | Created | Starting | Start |
//! | Created | Stopped | SIGKILL or Delete: it never ran |
//! | Starting | Running | the core runs |
//! | Starting | Stopped | the core does not start, or SIGKILL came first |
//! | Running | Paused | Pause, SIGSTOP |
//! | Paused | Running | Resume, SIGCONT; a signal that asks for an orderly end |
//! | Running, Paused | Stopped | the core's end, whatever its reason |

use std::fmt;

use crate::reactor::Ended;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Firmware is loaded, nothing runs.
    Created,
    /// A Start is under way.
    Starting,
    /// The core executes.
    Running,
    /// The core is halted and can go on.
    Paused,
    /// It has ended, or never ran.
    Stopped(Ended),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Created => "created",
            State::Starting => "starting",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped(_) => "stopped",
        })
    }
}
