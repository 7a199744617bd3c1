//! `ctr`, the client that comes with containerd, aimed at one private instance.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{Output, Pty, run};

/// How long one `ctr` command may take unless told otherwise: an emulated core boots in under a second, but
/// not on a machine that does something else at the same time.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `ctr` against one containerd in one namespace.
#[derive(Debug, Clone)]
pub struct Ctr {
    program: PathBuf,
    path: OsString,
    address: PathBuf,
    namespace: String,
    deadline: Duration,
}

impl Ctr {
    pub(crate) fn new(program: PathBuf, path: OsString, address: &Path, namespace: &str) -> Self {
        let (address, namespace) = (address.to_path_buf(), namespace.to_owned());
        Self { program, path, address, namespace, deadline: DEADLINE }
    }

    /// The same with another deadline for each command.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same through another socket.
    #[must_use]
    pub fn at(mut self, address: &Path) -> Self {
        self.address = address.to_path_buf();
        self
    }

    /// Runs `ctr arguments...` to its end, success or not.
    ///
    /// # Errors
    /// It can't be started or does not end in time.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        run(&mut self.command(arguments), self.deadline)
    }

    /// Runs `ctr arguments...`, demands success and gives its standard output.
    ///
    /// # Errors
    /// It can't be started, does not end in time or fails.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.run(arguments)?.ok()?.text().into_owned())
    }

    /// Starts `ctr arguments...` on a terminal (`run -t`, `task attach`).
    ///
    /// `ctr` makes its terminal raw for input only. The terminal is set up so that it does not put a carriage
    /// return before each line feed either: what the container says arrives unchanged.
    ///
    /// # Errors
    /// No terminal is free or `ctr` can't be started.
    pub fn pty(&self, arguments: &[&str]) -> Result<Pty> {
        Pty::spawn_unchanged(&self.command(arguments))
    }

    /// Imports an image archive for the host's platform.
    ///
    /// # Errors
    /// `ctr` refuses the archive.
    pub fn import(&self, archive: &Path) -> Result<()> {
        self.ok(&["image", "import", &archive.to_string_lossy()]).map(drop)
    }

    /// The command itself, for a caller that wants to run it its own way.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("PATH", &self.path);
        command.arg("-a").arg(&self.address).args(["-n", &self.namespace]).args(arguments);
        command
    }
}
