//! The other process: started with one end of a bell, ended with a deadline.

use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bell::Bell;
use crate::board::Board;

/// Longest wait for a peer that was told to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running peer; killed if it is dropped.
pub struct Peer(Child);

impl Peer {
    /// Runs `program ROLE BOARD WAIT`; standard input and output are the peer's end of the bell.
    pub fn start(program: &Path, role: &str, board: &Board, wait: Wait) -> Result<(Peer, Option<Bell>)> {
        let (ours, theirs) = Bell::pair()?;
        let (heard, rung) = theirs.into_streams();
        let mut command = Command::new(program);
        command.arg(role).arg(board.path()).arg(wait.name()).stdin(heard).stdout(rung);
        let child = command.spawn().with_context(|| program.display().to_string())?;
        Ok((Peer(child), (wait == Wait::Eventfd).then_some(ours)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It failed, or does not end.
    pub fn end(mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "the peer ended with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("the peer does not end within {PATIENCE:?}")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only for a process that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How both sides wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// They look again and again.
    Polling,
    /// They sleep until they are kicked.
    Eventfd,
}

impl Wait {
    /// Both.
    pub const ALL: [Wait; 2] = [Wait::Polling, Wait::Eventfd];

    /// The argument of a peer.
    pub fn name(self) -> &'static str {
        match self {
            Wait::Polling => "polling",
            Wait::Eventfd => "eventfd",
        }
    }

    /// Reads the argument of a peer.
    pub fn of(name: &str) -> Result<Wait> {
        Wait::ALL
            .into_iter()
            .find(|wait| wait.name() == name)
            .with_context(|| format!("no way to wait {name:?}"))
    }
}
