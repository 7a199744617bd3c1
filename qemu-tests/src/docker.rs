//! A Docker of the test's own beside a containerd of its own. It has no network and writes no rule of a firewall:
//! nothing of it reaches beyond its directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Containerd, Leaks, Options, Output, Pty, command, directory, kill_9, run, wait_for};

/// Environment variable with the directory of `sbin/dockerd` and `bin/docker`.
const DOCKER: &str = "MICRUN_DOCKER";
/// Name of its directory in that of its containerd, and of its log in there.
const DIRECTORY: &str = "docker";
const LOG: &str = "dockerd.log";
/// How long dockerd may take to answer and to end, and a command: under a second each on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running private Docker. Dropping it ends it, its containers and its containerd.
#[derive(Debug)]
pub struct Docker {
    // Dropped in this order: dockerd ends before what it needs.
    daemon: Daemon,
    containerd: Containerd,
    before: Leaks,
}

impl Docker {
    /// Starts one with the containerd that `options` describe, and waits until both answer.
    ///
    /// # Errors
    /// One of them does not start.
    ///
    /// # Panics
    /// The tests were not started by `cargo xtask test`.
    pub fn start(options: &Options) -> Result<Self> {
        let mut containerd = Containerd::start(options)?;
        let mut daemon = Daemon::start(&containerd)?;
        containerd.host(daemon.child.id());
        daemon.wait_until_it_answers()?;
        let before = containerd.leaks();
        Ok(Self { daemon, containerd, before })
    }

    /// Runs `docker arguments...` to its end, success or not.
    ///
    /// # Errors
    /// It can't be started or does not end in time.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        run(&mut self.command(arguments), DEADLINE)
    }

    /// Runs `docker arguments...`, demands success and gives its standard output without the last line's end.
    ///
    /// # Errors
    /// It can't be started, does not end in time or fails.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.run(arguments)?.ok()?.text().trim_end().to_owned())
    }

    /// Starts `docker arguments...` on a terminal.
    ///
    /// # Errors
    /// No terminal is free or it can't be started.
    pub fn pty(&self, arguments: &[&str]) -> Result<Pty> {
        Pty::spawn_unchanged(&self.command(arguments))
    }

    /// The command itself, for a caller that wants to run it its own way.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.daemon.client(arguments)
    }

    /// What `docker inspect` says in `field` of container `name`, for example `.State.Status`.
    ///
    /// # Errors
    /// There is no such container or field.
    pub fn inspect(&self, name: &str, field: &str) -> Result<String> {
        self.ok(&["inspect", "--format", &format!("{{{{{field}}}}}"), name])
    }

    /// Waits until `docker inspect` says `value` in `field`.
    ///
    /// # Errors
    /// It says something else at the deadline.
    pub fn becomes(&self, name: &str, field: &str, value: &str) -> Result<()> {
        let mut last = None;
        wait_for(&format!("{field} of {name} to become {value}"), DEADLINE, || {
            last = Some(self.inspect(name, field));
            matches!(&last, Some(Ok(said)) if said == value).then_some(())
        })
        .with_context(|| format!("it is {last:?}"))
    }

    /// Kills dockerd as the kernel does when it is out of memory, and starts it again; containers go on.
    ///
    /// # Errors
    /// It does not end or does not start.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        kill_9(self.daemon.child.id())?;
        command::wait(&mut self.daemon.child, "the killed dockerd", DEADLINE)?;
        // What a service manager removes; the pid in it may be another process's by now.
        fs::remove_file(self.daemon.directory.join("pid"))?;
        self.daemon.child = spawn(&self.daemon.directory, &self.containerd)?;
        self.containerd.host(self.daemon.child.id());
        self.daemon.wait_until_it_answers()
    }

    /// Demands that nothing of the containers is left.
    ///
    /// # Errors
    /// What is left, one line each.
    pub fn clean(&self) -> Result<()> {
        self.containerd.none_left(&self.before)
    }
}

/// dockerd alone.
#[derive(Debug)]
struct Daemon {
    child: Child,
    directory: PathBuf,
}

impl Daemon {
    fn start(containerd: &Containerd) -> Result<Self> {
        let directory = containerd.directory().join(DIRECTORY);
        fs::create_dir(&directory)?;
        Ok(Self { child: spawn(&directory, containerd)?, directory })
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut client = Command::new(directory(DOCKER).join("bin/docker"));
        client.arg("--host").arg(host(&self.directory)).args(arguments);
        // Not the user's own settings.
        client.env("DOCKER_CONFIG", self.directory.join("client")).env_remove("DOCKER_CONTEXT");
        client
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let answers = |daemon: &Self| {
            run(&mut daemon.client(&["version"]), DEADLINE).is_ok_and(|it| it.status.success())
        };
        let answered = wait_for("dockerd's first answer", DEADLINE, || match self.child.try_wait() {
            Ok(None) => answers(self).then_some(Ok(())),
            Ok(Some(status)) => Some(Err(anyhow::anyhow!("dockerd ended: {status}"))),
            Err(error) => Some(Err(error.into())),
        });
        answered.and_then(|ended| ended).with_context(|| self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join(LOG)).unwrap_or_default()
    }
}

impl Drop for Daemon {
    /// Orderly, because dockerd then takes its mounts along. What remains is swept up with its containerd.
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails only if it has ended, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Err(error) = command::wait(&mut self.child, "dockerd", DEADLINE) {
            eprintln!("{}: {error:#}", self.directory.display());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Starts dockerd in a session of its own, on top of `containerd`.
fn spawn(directory: &Path, containerd: &Containerd) -> Result<Child> {
    let program = crate::directory(DOCKER).join("sbin/dockerd");
    let log = File::options().append(true).create(true).open(directory.join(LOG))?;
    let mut command = Command::new("setsid");
    command.arg(&program).arg("--host").arg(host(directory)).arg("--containerd").arg(containerd.address());
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        command.arg(option).arg(directory.join(name));
    }
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--userland-proxy=false"]);
    command.args(["--live-restore", "--config-file"]).arg(directory.join("daemon.json"));
    fs::write(directory.join("daemon.json"), "{}")?;
    // Its path is containerd's: where runc is, which it asks for its version.
    command.env("PATH", containerd.search_path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

fn host(directory: &Path) -> String {
    format!("unix://{}", directory.join("docker.sock").display())
}
