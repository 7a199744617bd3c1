//! Runs other programs in the open: what is run is printed, what it prints is seen.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Counts the steps of a long task aloud: `[2/7] building the shim ...`.
pub(crate) struct Steps {
    done: usize,
    total: usize,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self { done: 0, total }
    }

    pub(crate) fn next(&mut self, what: &str) {
        self.done += 1;
        println!("[{}/{}] {what} ...", self.done, self.total);
    }
}

/// A command with root's directories at the end of its `PATH`, where Debian keeps `runc`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// The same as root: through `sudo` unless the caller is root. `variables` and the search path get through to it,
/// whatever sudo's policy about the environment is.
pub(crate) fn as_root<N: AsRef<OsStr>, V: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    variables: impl IntoIterator<Item = (N, V)>,
) -> Command {
    if is_root() {
        let mut command = command(program);
        command.envs(variables);
        return command;
    }
    let mut command = command("sudo");
    command.args(env_arguments(variables)).arg(program);
    command
}

/// `env PATH=... NAME=VALUE ...`: sets variables in front of a command line.
pub(crate) fn env_arguments<N: AsRef<OsStr>, V: AsRef<OsStr>>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> Vec<OsString> {
    let assign = |name: &OsStr, value: &OsStr| [name, value].join(OsStr::new("="));
    let mut words = vec![OsString::from("env"), assign(OsStr::new("PATH"), &search_path())];
    words.extend(variables.into_iter().map(|(name, value)| assign(name.as_ref(), value.as_ref())));
    words
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `command` in the open.
///
/// # Errors
/// It can't be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("cannot start {}", program(command)))?;
    demand(command, status)
}

/// Runs `command` in the open and gives each line of its standard output to `look` as well.
///
/// # Errors
/// It can't be started, or its output can't be passed on.
pub(crate) fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<ExitStatus> {
    announce(command);
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot start {}", program(command)))?;
    let mut output = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        look(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(child.wait()?)
}

/// Standard output of `command`, which is run silently.
///
/// # Errors
/// It can't be started or fails; the error carries its standard error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", program(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {}", program(command), output.status, complaint.trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether `program arguments...` can be run with success: the one proof that something is installed.
pub(crate) fn works(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    read(command(program).args(arguments)).is_ok()
}

/// The file that `program` is.
///
/// # Errors
/// It is in no directory of the search path.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let path = search_path();
    let mut files = env::split_paths(&path).map(|directory| directory.join(program));
    files.find(|file| file.is_file()).with_context(|| format!("{program} is not installed"))
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn search_path() -> OsString {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let roots = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    // Only a directory with a colon in its name can't be joined, and none of these has one.
    env::join_paths(env::split_paths(&inherited).chain(roots)).unwrap_or(inherited)
}

fn announce(command: &Command) {
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    println!("  $ {} {}", program(command), arguments.join(" "));
}

fn program(command: &Command) -> String {
    let path = PathBuf::from(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn demand(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{}: {status}", program(command));
    }
    Ok(())
}
