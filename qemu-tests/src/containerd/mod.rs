//! A containerd of the test's own: own root, state, sockets, session, and an end that leaves nothing.

mod config;
mod guard;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

pub use self::config::{MICRUN, MICRUN_SANDBOX, NETWORKS, PAUSE};
use self::guard::Guard;
use crate::leaks::{Leaks, Processes, mounts};
use crate::{Artifacts, Ctr, Process, command, run, wait_for};

/// Every instance's directory begins so. It is short because a unix socket's path ends at 106 bytes, and the same
/// for all, so that one instance's processes are told from another's.
const PREFIX: &str = "/tmp/micrun-containerd.";
/// Name of the socket in the instance's directory.
const SOCKET: &str = "containerd.sock";
/// How long containerd may take until its socket answers, and to end: 0.3 s each on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long containers that have ended may take until nothing is left of them. containerd gives a shim's clean-up
/// five seconds.
const LEAK_DEADLINE: Duration = Duration::from_secs(15);
/// How much of containerd's log a failed test shows, in lines.
const LOG_LINES: usize = 40;

/// How a containerd is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Directory of another containerd than the machine's, with its own `ctr` and shims.
    pub containerd: Option<PathBuf>,
    /// Directories that come first in its `PATH`: where it looks for shims.
    pub path: Vec<PathBuf>,
    /// More environment for it, and so for every shim that it starts.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether to load the CRI service, which slows the start down.
    pub cri: bool,
    /// Directory of the CNI plugins, for pods with a network of their own.
    pub cni: Option<PathBuf>,
    /// Whether layers that are EROFS file systems are taken; from containerd 2.1 on.
    pub erofs: bool,
}

impl Options {
    /// The machine's containerd with the built shim in its path.
    #[must_use]
    pub fn with(artifacts: &Artifacts) -> Self {
        Self { path: vec![artifacts.bin()], ..Self::default() }
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// `PATH` of the daemon and its clients. The directories of root's programs come last because they are missing
    /// from the `PATH` that `su` and `sudo` users often have.
    fn search_path(&self) -> Result<OsString> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let first = self.containerd.iter().chain(&self.path).cloned();
        let last = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        Ok(env::join_paths(first.chain(env::split_paths(&inherited)).chain(last))?)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.containerd.as_ref().map_or_else(|| PathBuf::from(name), |directory| directory.join(name))
    }
}

/// A running private containerd. Dropping it ends it and every process, mount, socket and file that is left of it.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    directory: TempDir,
    options: Options,
    path: OsString,
    guard: Guard,
    guests: Vec<u32>,
}

/// A private containerd that goes on after this process: what a person needs to use and to end it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its process id.
    pub pid: u32,
    /// Its directory, everything of it included.
    pub directory: PathBuf,
    /// Its socket.
    pub address: PathBuf,
    /// The file with its log.
    pub log: PathBuf,
}

impl Containerd {
    /// Starts one and waits until its socket answers.
    ///
    /// # Errors
    /// There is no containerd, it does not start (the error shows its log), or the caller is not root.
    pub fn start(options: &Options) -> Result<Self> {
        if !geteuid().is_root() {
            bail!("containerd needs root: run this through sudo");
        }
        let parent = Path::new(PREFIX).parent().context("the prefix has no directory")?;
        let name = Path::new(PREFIX).file_name().context("the prefix has no file name")?;
        let directory = tempfile::Builder::new().prefix(name).tempdir_in(parent)?;
        let path = options.search_path()?;
        let program = options.program("containerd");
        let major = major(&program, &path)?;
        let mut config = config::text(major, directory.path(), options.cri, options.cni.as_deref());
        if options.erofs {
            config.push_str(config::EROFS);
        }
        fs::write(config_file(directory.path()), config)?;
        let child = spawn(options, &path, directory.path())?;
        let guard = Guard::set(child.id(), directory.path())?;
        let mut containerd =
            Self { child, directory, options: options.clone(), path, guard, guests: Vec::new() };
        containerd.wait_until_it_answers()?;
        Ok(containerd)
    }

    /// Starts it again on the same directory after it has been killed, and waits until its socket answers. Its
    /// containers are not touched.
    ///
    /// # Errors
    /// It still runs, or does not start.
    pub fn restart(&mut self) -> Result<()> {
        command::wait(&mut self.child, "the killed containerd", DEADLINE)?;
        self.child = spawn(&self.options, &self.path, self.directory())?;
        self.guard.dismiss()?;
        self.guard = Guard::set(self.pid(), self.directory())?;
        self.wait_until_it_answers()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its directory: `root`, `state` and the sockets are below.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its socket.
    #[must_use]
    pub fn address(&self) -> PathBuf {
        self.directory().join(SOCKET)
    }

    /// Where it looks for programs.
    pub(crate) fn search_path(&self) -> &OsStr {
        &self.path
    }

    /// A client of it in `namespace`.
    #[must_use]
    pub fn ctr(&self, namespace: &str) -> Ctr {
        Ctr::new(self.options.program("ctr"), self.path.clone(), &self.address(), namespace)
    }

    /// What it has logged so far, and what the shims had to say through it.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.directory())
    }

    /// Its shims, emulators, clients and whatever else names its directory; not the daemon itself.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let all = Processes::sorted(self.directory(), PREFIX);
        all.ours().iter().filter(|process| !self.daemons().contains(&process.pid)).cloned().collect()
    }

    /// What its containers have left, or have at this moment.
    #[must_use]
    pub fn leaks(&self) -> Leaks {
        Leaks::snapshot(self.directory(), PREFIX, &self.daemons())
    }

    /// Waits until nothing is left that was not there `before`.
    ///
    /// # Errors
    /// What is left after 15 s, one line each.
    pub fn none_left(&self, before: &Leaks) -> Result<()> {
        let mut left = Vec::new();
        wait_for("nothing left", LEAK_DEADLINE, || {
            left = self.leaks().since(before);
            left.is_empty().then_some(())
        })
        .with_context(|| format!("left behind:\n  {}", left.join("\n  ")))
    }

    /// The same for a test.
    ///
    /// # Panics
    /// Something is left.
    pub fn assert_none_left(&self, before: &Leaks) {
        if let Err(left) = self.none_left(before) {
            panic!("{left:#}");
        }
    }

    /// Leaves it running when this value and this process are gone.
    ///
    /// # Errors
    /// The guard that would end it can't be dismissed.
    pub fn keep(mut self) -> Result<Kept> {
        self.guard.dismiss()?;
        let (pid, directory) = (self.pid(), self.directory().to_path_buf());
        let (address, log) = (self.address(), log_file(&directory));
        // The only thing that `Drop` does is to end it.
        std::mem::forget(self);
        Ok(Kept { pid, directory, address, log })
    }

    /// Takes another daemon that works on this one for no leak.
    pub(crate) fn host(&mut self, daemon: u32) {
        self.guests.push(daemon);
    }

    /// The instance's own processes, which are no leak.
    fn daemons(&self) -> Vec<u32> {
        [&[self.pid(), self.guard.pid()], self.guests.as_slice()].concat()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let ctr = self.ctr("default").deadline(DEADLINE);
        let answered = wait_for("containerd's first answer", DEADLINE, || match self.child.try_wait() {
            Ok(None) => ctr.ok(&["version"]).ok().map(|_| Ok(())),
            Ok(Some(status)) => Some(Err(anyhow::anyhow!("containerd ended: {status}"))),
            Err(error) => Some(Err(error.into())),
        });
        answered.and_then(|ended| ended).with_context(|| last_lines(&self.log()))
    }

    fn end(&mut self) -> Result<()> {
        self.guard.dismiss()?;
        signal(self.pid(), Signal::TERM);
        if command::wait(&mut self.child, "containerd", DEADLINE).is_err() {
            self.child.kill()?;
            self.child.wait()?;
        }
        self.sweep()
    }

    /// Ends and removes what containers of a failed test have left. The sockets are looked up first: only a living
    /// process tells whose they are. Others are not touched, however stale they look: a neighbour may have made them
    /// this moment.
    fn sweep(&self) -> Result<()> {
        let all = Processes::sorted(self.directory(), PREFIX);
        let sockets = all.own_sockets();
        for process in all.ours() {
            signal(process.pid, Signal::KILL);
        }
        for socket in sockets {
            fs::remove_file(socket)?;
        }
        for mount in mounts(self.directory()).iter().rev() {
            unmount(mount, UnmountFlags::DETACH)?;
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("containerd's log ends in:\n{}", last_lines(&self.log()));
        }
        if let Err(error) = self.end() {
            eprintln!("{}: cannot clean up: {error:#}", self.directory().display());
        }
    }
}

/// Starts containerd through `setsid`, which becomes containerd: the child's pid is its pid, and a Ctrl-C at the
/// terminal does not reach it before its containers are gone. Its log goes on where an earlier one's ended.
fn spawn(options: &Options, path: &OsStr, directory: &Path) -> Result<Child> {
    let program = options.program("containerd");
    let log = File::options().append(true).create(true).open(log_file(directory))?;
    let mut command = Command::new("setsid");
    command.arg(&program).arg("--config").arg(config_file(directory));
    command.env("PATH", path).envs(options.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// Major version out of `containerd github.com/containerd/containerd 1.6.20~ds1 ...`.
fn major(program: &Path, path: &OsStr) -> Result<u32> {
    let mut version = Command::new(program);
    let output = run(version.arg("--version").env("PATH", path), DEADLINE)?.ok()?;
    let text = output.text();
    let number = text.split_whitespace().nth(2).map(|word| word.trim_start_matches('v'));
    let major = number.and_then(|number| number.split('.').next()?.parse().ok());
    major.with_context(|| format!("{}: no version in {text:?}", program.display()))
}

/// A process that is gone already is what is wanted.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn config_file(directory: &Path) -> PathBuf {
    directory.join("config.toml")
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("containerd.log")
}

fn log(directory: &Path) -> String {
    fs::read(log_file(directory))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
