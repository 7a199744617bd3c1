//! Runs a program that must come to an end, and keeps what it said.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait_for;

/// What a program that ended said, and how it ended.
#[derive(Debug)]
pub struct Output {
    command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text.
    #[must_use]
    pub fn complaint(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }

    /// Demands that the program succeeded.
    ///
    /// # Errors
    /// It did not; the error carries its standard error.
    pub fn ok(self) -> Result<Self> {
        if !self.status.success() {
            bail!("{}: {}: {}", self.command, self.status, self.complaint().trim_end());
        }
        Ok(self)
    }
}

/// Runs `command` without input to its end, whatever that is.
///
/// # Errors
/// As [`run_with_input`].
pub fn run(command: &mut Command, deadline: Duration) -> Result<Output> {
    run_with_input(command, &[], deadline)
}

/// Runs `command` with `input` as its standard input to its end, whatever that is.
///
/// Input and output go through files, not pipes: a daemon that the program leaves behind and that holds on to its
/// standard output can't keep the caller waiting.
///
/// # Errors
/// The program could not be started, or did not end within `deadline` (it is killed then).
pub fn run_with_input(command: &mut Command, input: &[u8], deadline: Duration) -> Result<Output> {
    let [mut stdin, mut stdout, mut stderr] =
        [tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?];
    stdin.write_all(input)?;
    stdin.rewind()?;
    command.stdin(stdin).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let name = display(command);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let ended = wait(&mut child, &name, deadline);
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let (stdout, stderr) = (contents(&mut stdout)?, contents(&mut stderr)?);
    let status = ended.with_context(|| String::from_utf8_lossy(&stderr).into_owned())?;
    Ok(Output { command: name, status, stdout, stderr })
}

/// Waits for the end of `child`.
///
/// # Errors
/// `child` still runs after `deadline`.
pub(crate) fn wait(child: &mut Child, name: &str, deadline: Duration) -> Result<ExitStatus> {
    Ok(wait_for(&format!("the end of {name}"), deadline, || child.try_wait().transpose())??)
}

/// The command line, as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    words.join(" ")
}

fn contents(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
