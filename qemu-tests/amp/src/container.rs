//! One container under the shim that ships, without a containerd: calls of the binary, and its server asked directly.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use containerd_shim_protos::ttrpc::{self, context};
use containerd_shim_protos::{Client, TaskClient, api};
use qemu_tests::{kill_9, lives, wait_for};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use tempfile::TempDir;

use crate::wish::Wish;

/// For what must happen: everything here is emulated, and the host may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// What it says when it waits for a command.
pub const PROMPT: &str = "rtos# ";
/// Signals, and the exit status of who ends by them.
pub const TERM: u32 = 15;
pub const KILL: u32 = 9;
pub const TERMINATED: u32 = 128 + TERM;
pub const KILLED: u32 = 128 + KILL;

/// The shim that ships.
pub const SHIM: &str = "/artifacts/bin/containerd-shim-mica-v2";
const NAMESPACE: &str = "amp";
/// What a test sends at once: less than a FIFO takes.
const PIECE: usize = 4096;

/// A request of a container's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    Start,
    Kill,
    Delete,
}

/// A bundle with its streams, and a server for it.
pub struct Container {
    bundle: TempDir,
    id: String,
    client: TaskClient,
    server: u32,
    stdin: File,
    stdout: File,
    log: File,
    /// All that it has said.
    pub said: Vec<u8>,
}

impl Container {
    /// Starts a server and has it create the container.
    pub fn create(wish: Wish<'_>) -> Result<Container> {
        let container = Container::serve(wish)?;
        container.told(container.request_create())?;
        Ok(container)
    }

    /// The same, and it runs.
    pub fn run(wish: Wish<'_>) -> Result<Container> {
        let container = Container::create(wish)?;
        container.start()?;
        Ok(container)
    }

    /// The sentence with which it is refused to create it.
    pub fn refusal(wish: Wish<'_>) -> Result<String> {
        let container = Container::serve(wish)?;
        match container.request_create() {
            Err(ttrpc::Error::RpcStatus(status)) => Ok(status.message),
            other => bail!("not refused: {other:?}"),
        }
    }

    /// Starts a server that has not heard of the container.
    pub fn serve(wish: Wish<'_>) -> Result<Container> {
        let bundle = wish.bundle()?;
        let path = bundle.path();
        let [stdin, stdout, log] = ["stdin", "stdout", "log"].map(|name| fifo(&path.join(name)));
        let started = call(path, wish.id, &["start"]).output()?;
        let address = text(&started)?;
        let client = Client::connect(&address).map_err(|error| anyhow!("{address}: {error}"))?;
        let client = TaskClient::new(client);
        Ok(Container {
            server: server_of(path)?,
            id: wish.id.to_owned(),
            client,
            stdin: stdin?,
            stdout: stdout?,
            log: log?,
            said: Vec::new(),
            bundle,
        })
    }

    fn request_create(&self) -> ttrpc::Result<api::CreateTaskResponse> {
        let path = |name: &str| self.bundle.path().join(name).display().to_string();
        let request = api::CreateTaskRequest {
            id: self.id.clone(),
            bundle: self.bundle.path().display().to_string(),
            stdin: path("stdin"),
            stdout: path("stdout"),
            ..Default::default()
        };
        self.client.create(soon(), &request)
    }

    /// Where it is.
    pub fn bundle(&self) -> &Path {
        self.bundle.path()
    }

    /// The process that serves it.
    pub fn server(&self) -> u32 {
        self.server
    }

    pub fn start(&self) -> Result<()> {
        let request = api::StartRequest { id: self.id.clone(), ..Default::default() };
        self.told(self.client.start(soon(), &request)).map(drop)
    }

    pub fn signal(&self, signal: u32) -> Result<()> {
        let request = api::KillRequest { id: self.id.clone(), signal, ..Default::default() };
        self.told(self.client.kill(soon(), &request)).map(drop)
    }

    /// Its exit status, when it has ended.
    pub fn wait(&self) -> Result<u32> {
        let request = api::WaitRequest { id: self.id.clone(), ..Default::default() };
        Ok(self.told(self.client.wait(soon(), &request))?.exit_status)
    }

    /// Deletes it, and creates it anew in the same server.
    pub fn renew(&self) -> Result<()> {
        self.request_delete()?;
        self.told(self.request_create()).map(drop)
    }

    fn request_delete(&self) -> Result<()> {
        let request = api::DeleteRequest { id: self.id.clone(), ..Default::default() };
        self.told(self.client.delete(soon(), &request)).map(drop)
    }

    /// Deletes it and ends the server, then calls the binary as containerd does in the end.
    pub fn delete(mut self) -> Result<()> {
        self.request_delete()?;
        let request = api::ShutdownRequest { id: self.id.clone(), ..Default::default() };
        self.told(self.client.shutdown(soon(), &request))?;
        wait_for("the server's end", DEADLINE, || (!lives(self.server)).then_some(()))?;
        self.call_delete()
    }

    /// Kills the server, as if it had crashed, and cleans up as containerd then does.
    pub fn crash(mut self) -> Result<()> {
        self.kill_server()?;
        self.call_delete()
    }

    /// The same while it does what it is asked for, as soon as `reached` says so. True if it had answered before.
    pub fn crash_within(mut self, step: Step, reached: &dyn Fn() -> bool) -> Result<bool> {
        let answered = thread::scope(|scope| {
            let request = scope.spawn(|| self.request(step));
            let begun = Instant::now();
            while !reached() && !request.is_finished() {
                ensure!(begun.elapsed() < DEADLINE, "{step:?} neither gets there nor ends");
                thread::yield_now();
            }
            self.kill_server()?;
            Ok(request.join().is_ok_and(|answer| answer.is_ok()))
        })?;
        self.call_delete()?;
        Ok(answered)
    }

    fn request(&self, step: Step) -> Result<()> {
        match step {
            Step::Create => self.told(self.request_create()).map(drop),
            Step::Start => self.start(),
            Step::Kill => self.signal(KILL),
            Step::Delete => self.request_delete(),
        }
    }

    fn kill_server(&self) -> Result<()> {
        kill_9(self.server)?;
        wait_for("the server's end", DEADLINE, || (!lives(self.server)).then_some(()))
    }

    fn call_delete(&mut self) -> Result<()> {
        let deleted = call(self.bundle.path(), &self.id, &["delete"]).output()?;
        ensure!(deleted.status.success() && deleted.stderr.is_empty(), "delete: {}", complaint(&deleted));
        Ok(())
    }

    /// Files that its server has open.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.server))?.count())
    }

    /// Types, all of it.
    pub fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stdin.write_all(bytes)?)
    }

    /// Waits until it says `text` after what was already waited for; gives all until then.
    pub fn expect(&mut self, text: &str) -> Result<Vec<u8>> {
        let text = text.as_bytes();
        let find = |said: &[u8]| said.windows(text.len()).position(|part| part == text);
        let begun = Instant::now();
        loop {
            if let Some(at) = find(&self.said) {
                return Ok(self.said.drain(..at + text.len()).collect());
            }
            self.listen(begun)
                .with_context(|| format!("no {:?}", String::from_utf8_lossy(text)))
                .map_err(|error| error.context(self.log()))?;
        }
    }

    /// Waits for `len` more bytes.
    pub fn take(&mut self, len: usize) -> Result<Vec<u8>> {
        let begun = Instant::now();
        while self.said.len() < len {
            self.listen(begun)?;
        }
        Ok(self.said.drain(..len).collect())
    }

    /// Sends and takes at once, so that nobody waits for the other.
    pub fn exchange(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut back = Vec::new();
        for piece in bytes.chunks(PIECE) {
            self.type_in(piece)?;
            back.extend(self.take(piece.len())?);
        }
        Ok(back)
    }

    /// Takes what there is, or waits a little.
    fn listen(&mut self, begun: Instant) -> Result<()> {
        ensure!(begun.elapsed() < DEADLINE, "{:?}", String::from_utf8_lossy(&self.said));
        let mut bytes = [0; 1 << 16];
        match self.stdout.read(&mut bytes) {
            Ok(len) => self.said.extend(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut polled = [rustix::event::PollFd::new(&self.stdout, rustix::event::PollFlags::IN)];
                let wait = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
                rustix::event::poll(&mut polled, Some(&wait))?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What the shim has logged.
    pub fn log(&mut self) -> String {
        let mut bytes = vec![0; 1 << 16];
        let len = self.log.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    /// The answer, or why there is none.
    fn told<T>(&self, answer: ttrpc::Result<T>) -> Result<T> {
        answer.map_err(|error| anyhow!("container {}: {error}", self.id))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Of a test that fails: what it leaves is not to make the next one fail.
        if lives(self.server) {
            if std::thread::panicking() {
                eprintln!("{}", self.log());
            }
            let _ = self.kill_server();
            let _ = self.call_delete();
        }
    }
}

fn soon() -> context::Context {
    context::with_duration(DEADLINE)
}

/// A FIFO with both ends open, so that neither side waits for the other to come.
fn fifo(path: &Path) -> Result<File> {
    mkfifoat(CWD, path, Mode::RWXU)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    Ok(options.open(path)?)
}

/// A call of the binary. The "containerd" is the bundle's own, so that no two have a server together.
fn call(bundle: &Path, id: &str, words: &[&str]) -> Command {
    let mut command = Command::new(SHIM);
    command.current_dir(bundle).args(["-namespace", NAMESPACE, "-id", id, "-address"]);
    command.arg(bundle.join("containerd.sock")).args(words);
    command.env_remove("TTRPC_ADDRESS").stdin(Stdio::null());
    command
}

fn text(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "start: {}", complaint(output));
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn complaint(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// The process whose command line names the bundle.
fn server_of(bundle: &Path) -> Result<u32> {
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*bundle.to_string_lossy())
    };
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.into_iter().find(named).context("no server")
}

/// Nobody has left the core of that name in use: its file has no note in the second line.
pub fn is_free(core: &str) -> Result<bool> {
    Ok(claim(core)?.lines().nth(1).unwrap_or_default().is_empty())
}

/// The container that has, or had, the core of that name.
pub fn owner(core: &str) -> Result<String> {
    Ok(claim(core)?.lines().next().unwrap_or_default().to_owned())
}

/// What a core's file says; nothing if nobody has had it yet.
fn claim(core: &str) -> Result<String> {
    let path = PathBuf::from(format!("/run/micrun/core-{core}"));
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| path.display().to_string()),
    }
}
