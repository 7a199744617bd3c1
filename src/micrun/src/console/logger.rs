//! containerd's logger protocol: a program of the user's gets the output through pipes.
//!
//! It finds standard output on descriptor 3 and standard error on 4, and closes 5 when it is ready. It is not tied to us:
//! when its pipes are closed, by us or by our death, it sees their end, writes what it still has and ends by itself.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::uri::Program;
use super::{Output, Owner};
use crate::sys;

/// Descriptors of standard output, standard error and readiness in the logger.
const DESCRIPTORS: [RawFd; 3] = [3, 4, 5];
/// How long a logger may take to become ready.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// How long it may take for its last writes, before it is killed.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// Why a logger does not log.
#[derive(Debug, thiserror::Error)]
pub enum LoggerError {
    /// It cannot be run.
    #[error(transparent)]
    Run(#[from] io::Error),
    /// It does not say that it is ready.
    #[error("it was not ready within {} s: it must close descriptor 5", READY_DEADLINE.as_secs())]
    Slow,
    /// It closed the pipe, probably by dying, without the byte that `binary-v2` demands.
    #[error("it closed descriptor 5 without writing a byte to it")]
    Silent,
}

/// A running logger. Dropping it gives it the time for its last writes, in the background.
#[derive(Debug)]
pub(super) struct Logger {
    child: Option<Child>,
}

impl Logger {
    /// Starts a logger and waits until it is ready. Gives the writing ends for standard output and standard error.
    pub(super) fn start(
        program: &Program,
        owner: &Owner<'_>,
    ) -> Result<(Output, OwnedFd, Logger), LoggerError> {
        let [stdout, stderr, ready] = [io::pipe()?, io::pipe()?, io::pipe()?];
        for pipe in [&stdout.1, &stderr.1] {
            owner.own(pipe.as_fd())?;
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(io::Error::from)?;
        }
        let child = owner.nursery.spawn(command(program, owner, stdout.0, stderr.0, ready.1))?;
        let mut logger = Logger { child: Some(child) };
        wait_ready(&ready.0, program.speaks).inspect_err(|_| logger.kill())?;
        Ok((Output::pipe(File::from(OwnedFd::from(stdout.1))), stderr.1.into(), logger))
    }

    fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails only if it has ended.
            let _ = child.kill();
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        // Neither the reactor nor a request waits for it. If the shim ends first, another process reaps it.
        let reaper = sys::spawn("logger", move || reap(child));
        if let Err(error) = reaper {
            log::warn!("a logger is not reaped: {error}");
        }
    }
}

fn command(
    program: &Program,
    owner: &Owner<'_>,
    stdout: PipeReader,
    stderr: PipeReader,
    ready: PipeWriter,
) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).env_clear();
    command.env("CONTAINER_ID", owner.id).env("CONTAINER_NAMESPACE", owner.namespace);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::bequeath(&mut command, [stdout.into(), stderr.into(), ready.into()], DESCRIPTORS);
    command
}

fn wait_ready(mut pipe: &PipeReader, speaks: bool) -> Result<(), LoggerError> {
    sys::wait_readable(pipe.as_fd(), READY_DEADLINE).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => LoggerError::Slow,
        _ => error.into(),
    })?;
    match pipe.read(&mut [0])? {
        0 if speaks => Err(LoggerError::Silent),
        _ => Ok(()),
    }
}

fn reap(mut child: Child) {
    let ended = sys::open_pidfd(child.id()).and_then(|pidfd| sys::wait_readable(pidfd.as_fd(), END_DEADLINE));
    if ended.is_err() {
        log::warn!("the logger still runs {} s after the last output: killed", END_DEADLINE.as_secs());
        // Fails only if it has ended.
        let _ = child.kill();
    }
    match child.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => log::warn!("the logger ended with {status}"),
        Err(error) => log::warn!("the logger: {error}"),
    }
}
