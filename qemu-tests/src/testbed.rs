//! The ground of the tests of micrun itself: a containerd with the hello image, and containers on emulated cores.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Artifacts, Containerd, Ctr, Leaks, Options, Output, Process, Pty, run_with_input, wait_for};

/// containerd's name for the shim.
pub const RUNTIME: &str = "io.containerd.mica.v2";
/// What the test RTOS says when it waits for a command.
pub const PROMPT: &str = "rtos# ";
/// For what must happen: an RTOS boots and answers in under a second on an idle machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long one of several looks may take.
const LOOK: Duration = Duration::from_millis(300);
const NAMESPACE: &str = "micrun";

/// A containerd with the hello image, and what was on the machine before its first container.
#[derive(Debug)]
pub struct Testbed {
    /// The daemon.
    pub containerd: Containerd,
    /// A client of it.
    pub ctr: Ctr,
    before: Leaks,
}

impl Testbed {
    /// The machine's containerd with the built shim.
    ///
    /// # Errors
    /// containerd does not start or does not take the image.
    pub fn new() -> Result<Self> {
        Self::with(&Options::with(&Artifacts::from_env()))
    }

    /// The same with the QEMU that this environment variable names.
    ///
    /// # Errors
    /// It names none: the tests were not started by `cargo xtask test`. Else as [`Testbed::new`].
    pub fn under(variable: &str) -> Result<Self> {
        let qemu = env::var_os(variable)
            .with_context(|| format!("{variable} is not set: run `cargo xtask test`"))?;
        Self::with(&Options::with(&Artifacts::from_env()).env("MICRUN_QEMU", qemu))
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`Testbed::new`].
    pub fn with(options: &Options) -> Result<Self> {
        let containerd = Containerd::start(options)?;
        let ctr = containerd.ctr(NAMESPACE);
        ctr.import(&Artifacts::from_env().hello())?;
        let before = containerd.leaks();
        Ok(Self { containerd, ctr, before })
    }

    /// The words of `ctr run options... image id`.
    #[must_use]
    pub fn run_words(&self, options: &[&str], image: &str, id: &str) -> Vec<String> {
        let fifos = self.fifos();
        let fifos = fifos.to_string_lossy();
        let words = ["run", "--runtime", RUNTIME, "--fifo-dir", &fifos];
        words.iter().chain(options).chain(&[image, id]).map(ToString::to_string).collect()
    }

    /// Runs `ctr run options... image id` without input to its end, success or not.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn run(&self, options: &[&str], image: &str, id: &str) -> Result<Output> {
        self.ctr.run(&words(&self.run_words(options, image, id)))
    }

    /// Runs hello in the foreground without a terminal, with `input` typed ahead, to its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn session(&self, id: &str, input: &[u8]) -> Result<Output> {
        let arguments = self.run_words(&["--rm"], Artifacts::HELLO, id);
        run_with_input(&mut self.ctr.command(&words(&arguments)), input, DEADLINE)
    }

    /// Runs hello in the foreground on a terminal and waits for its prompt.
    ///
    /// # Errors
    /// There is no prompt in time.
    pub fn console(&self, id: &str) -> Result<Pty> {
        let arguments = self.run_words(&["--rm", "-t"], Artifacts::HELLO, id);
        let mut console = self.ctr.pty(&words(&arguments))?;
        console.expect(PROMPT, DEADLINE)?;
        Ok(console)
    }

    /// Runs hello in the background; its console can be attached to as a terminal.
    ///
    /// # Errors
    /// `ctr` refuses.
    pub fn detached(&self, id: &str) -> Result<Task<'_>> {
        let arguments = self.run_words(&["-d", "-t"], Artifacts::HELLO, id);
        // Like any terminal, the container's needs one on the client's side.
        let mut client = self.ctr.pty(&words(&arguments))?;
        if !client.wait(DEADLINE)?.success() {
            bail!("ctr run -d: {}", String::from_utf8_lossy(&client.transcript()));
        }
        Ok(self.task(id))
    }

    /// Creates hello without starting it. `ctr` has no word for that, but it writes the pid file between the two
    /// steps, and gives up when it cannot.
    ///
    /// # Errors
    /// `ctr` gave up earlier or later.
    pub fn created(&self, id: &str) -> Result<Task<'_>> {
        let pid_file = self.containerd.directory().join("missing/pid");
        let options = ["-d", "--pid-file", &pid_file.to_string_lossy()];
        let refused = self.run(&options, Artifacts::HELLO, id)?;
        let task = self.task(id);
        match task.status()?.as_deref() {
            Some("CREATED") => Ok(task),
            other => bail!("the task is {other:?}: {}", refused.complaint()),
        }
    }

    /// Listens to containerd's events, from now on.
    ///
    /// # Errors
    /// It hears nothing.
    pub fn events(&self) -> Result<Pty> {
        let mut events = self.ctr.pty(&["events"])?;
        // `ctr events` does not say when it listens: something happens until it has heard of it.
        wait_for("the first event", DEADLINE, || {
            self.ctr.ok(&["namespaces", "label", NAMESPACE, "a=b"]).ok()?;
            events.expect("/namespaces/update", LOOK).ok()
        })?;
        Ok(events)
    }

    /// The task of that id, whether or not there is one.
    #[must_use]
    pub fn task(&self, id: &str) -> Task<'_> {
        Task { bed: self, id: id.to_owned() }
    }

    /// Not the machine's directory of FIFOs: what a killed client leaves there would stay.
    fn fifos(&self) -> PathBuf {
        self.containerd.directory().join("fifo")
    }

    /// Demands that nothing of the containers is left.
    ///
    /// # Errors
    /// What is left, one line each.
    pub fn clean(&self) -> Result<()> {
        self.containerd.none_left(&self.before)
    }
}

/// A container's task, as `ctr` shows it.
#[derive(Debug)]
pub struct Task<'b> {
    bed: &'b Testbed,
    id: String,
}

impl Task<'_> {
    /// `CREATED`, `RUNNING`, `STOPPED`; `None` if there is no such task.
    ///
    /// # Errors
    /// `ctr` fails.
    pub fn status(&self) -> Result<Option<String>> {
        Ok(self.line()?.map(|(_, status)| status))
    }

    /// Process id of its shim, which stands for the task.
    ///
    /// # Errors
    /// There is no such task.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.line()?.with_context(|| format!("no task {}", self.id))?.0)
    }

    /// Process id of its emulator.
    ///
    /// # Errors
    /// None runs.
    pub fn emulator(&self) -> Result<u32> {
        let shim = self.pid()?;
        let is_it = |process: &Process| process.parent == shim && process.name.starts_with("qemu-system-");
        let found = Process::all().into_iter().find(is_it);
        Ok(found.with_context(|| format!("shim {shim} has no emulator"))?.pid)
    }

    /// Path of its FIFO for `stream`: `stdin` or `stdout`.
    ///
    /// # Errors
    /// There is none.
    pub fn fifo(&self, stream: &str) -> Result<PathBuf> {
        let name = format!("{}-{stream}", self.id);
        let directories = fs::read_dir(self.bed.fifos())?.flatten().map(|entry| entry.path().join(&name));
        directories.into_iter().find(|path| path.exists()).with_context(|| name)
    }

    /// Attaches a terminal to its console.
    ///
    /// # Errors
    /// No terminal is free.
    pub fn attach(&self) -> Result<Pty> {
        self.bed.ctr.pty(&["task", "attach", &self.id])
    }

    /// Sends it a signal by its name.
    ///
    /// # Errors
    /// It is refused.
    pub fn kill(&self, signal: &str) -> Result<()> {
        self.bed.ctr.ok(&["task", "kill", "-s", signal, &self.id]).map(drop)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It has not at the deadline.
    pub fn ended(&self) -> Result<()> {
        let ended = || self.status().is_ok_and(|status| status.as_deref() == Some("STOPPED")).then_some(());
        wait_for(&format!("the end of task {}", self.id), DEADLINE, ended)
    }

    /// Waits until containerd has forgotten it.
    ///
    /// # Errors
    /// It has not at the deadline.
    pub fn gone(&self) -> Result<()> {
        let gone = || self.status().is_ok_and(|status| status.is_none()).then_some(());
        wait_for(&format!("task {} to be forgotten", self.id), DEADLINE, gone)
    }

    /// Deletes it and gives its exit status, which `ctr` mentions unless it is 0.
    ///
    /// # Errors
    /// It is refused.
    pub fn delete(&self) -> Result<u32> {
        let deleted = self.bed.ctr.run(&["task", "delete", &self.id])?.ok()?;
        let said = deleted.complaint().into_owned();
        let Some((_, status)) = said.split_once("non-zero exit code ") else { return Ok(0) };
        let digits = status.split(|end: char| !end.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().with_context(|| said.clone())
    }

    /// Deletes the container that it belonged to.
    ///
    /// # Errors
    /// It is refused.
    pub fn remove_container(&self) -> Result<()> {
        self.bed.ctr.ok(&["container", "delete", &self.id]).map(drop)
    }

    /// Ends it with a signal, deletes it and its container, and gives its exit status.
    ///
    /// # Errors
    /// It does not end, or something is refused.
    pub fn end_by(&self, signal: &str) -> Result<u32> {
        self.kill(signal)?;
        self.ended()?;
        let status = self.delete()?;
        self.remove_container()?;
        Ok(status)
    }

    fn line(&self) -> Result<Option<(u32, String)>> {
        let list = self.bed.ctr.ok(&["task", "ls"])?;
        let words = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(words) = words.into_iter().find(|words| words.first() == Some(&self.id.as_str())) else {
            return Ok(None);
        };
        let [_, pid, status] = words[..] else { bail!("ctr task ls: {list}") };
        Ok(Some((pid.parse().with_context(|| list.clone())?, status.to_owned())))
    }
}

/// Types a command at the prompt and gives the answer, without the echo and the next prompt.
///
/// # Errors
/// There is no next prompt in time, or something else than the echo comes first.
pub fn ask(console: &mut Pty, command: &str) -> Result<String> {
    console.send(format!("{command}\r").as_bytes())?;
    let said = console.expect(PROMPT, DEADLINE)?;
    let answer = said.strip_prefix(&format!("{command}\r\n")).and_then(|said| said.strip_suffix(PROMPT));
    Ok(answer.with_context(|| format!("{command}: {said:?}"))?.to_owned())
}

/// SIGKILL, as from the kernel when it is out of memory.
///
/// # Errors
/// There is no such process.
pub fn kill_9(pid: u32) -> Result<()> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw).context("pid 0")?;
    kill_process(target, Signal::KILL).with_context(|| format!("killing process {pid}"))
}

/// Whether `pid` is a process that has not ended.
#[must_use]
pub fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
