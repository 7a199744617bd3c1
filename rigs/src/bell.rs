//! Kicks between two processes: one eventfd each way.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Longest wait for a kick.
const PATIENCE: Duration = Duration::from_secs(10);

/// One process's end.
#[derive(Debug)]
pub struct Bell {
    heard: OwnedFd,
    rung: OwnedFd,
}

impl Bell {
    /// Both ends.
    pub fn pair() -> Result<(Bell, Bell)> {
        let [to, fro] = [eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?];
        let other = Bell { heard: to.try_clone()?, rung: fro.try_clone()? };
        Ok((Bell { heard: fro, rung: to }, other))
    }

    /// The end that a child process got as standard input (what it hears) and output (what it rings).
    pub fn inherited() -> Result<Bell> {
        let heard = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Bell { heard, rung: io::stdout().as_fd().try_clone_to_owned()? })
    }

    /// What a child process is to get as standard input and output.
    pub fn into_streams(self) -> (OwnedFd, OwnedFd) {
        (self.heard, self.rung)
    }

    /// Kicks the other side.
    pub fn ring(&self) -> Result<()> {
        rustix::io::write(&self.rung, &1u64.to_ne_bytes())?;
        Ok(())
    }

    /// Sleeps until the other side has kicked, and takes all its kicks.
    pub fn wait(&self) -> Result<()> {
        let patience = Timespec::try_from(PATIENCE)?;
        let mut ready = [PollFd::new(&self.heard, PollFlags::IN)];
        ensure!(poll(&mut ready, Some(&patience))? == 1, "no kick within {PATIENCE:?}");
        self.take()
    }

    /// Sleeps until the other side has kicked, without a deadline: the least that a kick can cost.
    pub fn take(&self) -> Result<()> {
        rustix::io::read(&self.heard, &mut [0; 8])?;
        Ok(())
    }
}
