//! Xen's own tool, for what micad has no word for: whether a domain is still there, and its pause.

use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::MachineError;

/// In the shim's `PATH`, where micad looks too.
const PROGRAM: &str = "xl";
/// Far longer than any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// Halts the domain, or lets it go on; `word` is `pause`, `unpause` or `destroy`.
pub(super) fn command(word: &'static str, domain: &str) -> Result<(), MachineError> {
    if run(word, domain)? {
        Ok(())
    } else {
        Err(failed(io::Error::other(format!("xl {word} {domain} failed"))))
    }
}

/// Whether there is such a domain.
pub(super) fn exists(domain: &str) -> Result<bool, MachineError> {
    run("domid", domain)
}

fn run(word: &str, domain: &str) -> Result<bool, MachineError> {
    let mut command = Command::new(PROGRAM);
    command.args([word, domain]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let spawned = command.spawn();
    let mut child = spawned.map_err(|source| MachineError::Spawn { program: PROGRAM.to_owned(), source })?;
    wait(&mut child).map_err(failed)
}

fn wait(child: &mut Child) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK);
    }
}

fn failed(source: io::Error) -> MachineError {
    MachineError::System { what: PROGRAM, source }
}
