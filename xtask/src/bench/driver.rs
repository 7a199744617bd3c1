//! Drives a shim the way containerd does, without containerd: the calls of the binary, ttrpc to its server, an
//! end for its events. What is measured is the shim alone: `ctr`, containerd and its snapshots are not in the sum.

use std::ffi::OsStr;
use std::fs;
use std::net::Shutdown;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use containerd_shim_protos::Client;
use containerd_shim_protos::api::{self, Empty};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{self, Request};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use serde_json::Value;

use super::stage::Stage;
use super::streams::{Streams, fifo, readable};
use crate::sh;

/// The name under which containerd 1.x asks; Debian's runc shim and micrun both answer to it.
const SERVICE: &str = "containerd.task.v2.Task";
/// containerd's name for whose containers these are.
pub(super) const NAMESPACE: &str = "micrun-bench";
/// SIGKILL: what ends a program at once and cuts a core's power.
const KILL: u32 = 9;
/// How long any request, and a server's end, may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Containers with the same value of this annotation share one server.
const GROUP: &str = "io.containerd.runc.v2.group";

/// A shim and the container that it is to run.
#[derive(Clone)]
pub(super) struct Runtime {
    pub(super) program: PathBuf,
    /// OCI's `config.json`.
    pub(super) spec: Value,
}

impl Runtime {
    /// The same for containers that share the server of the group with this name.
    pub(super) fn in_group(&self, name: &str) -> Self {
        let mut grouped = self.clone();
        grouped.spec["annotations"][GROUP] = Value::from(name);
        grouped
    }
}

/// A prepared bundle: all that containerd has done before it calls the shim.
pub(super) struct Bundle<'a> {
    stage: &'a Stage,
    program: PathBuf,
    id: String,
    directory: PathBuf,
    /// The shim's log, read by nobody: it is far smaller than a FIFO.
    _log: OwnedFd,
}

/// A created container. Dropping it without [`Task::delete`] kills it and cleans up.
pub(super) struct Task<'a> {
    bundle: Bundle<'a>,
    /// containerd's one connection; taken when the container is deleted.
    connection: Option<Connection>,
}

/// A connection that is closed at once when dropped, as Go's client does. ttrpc's own closes when its reader next
/// looks, up to 10 ms later, and a shim waits for that before it ends.
struct Connection {
    client: Client,
    socket: UnixStream,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let path = address.strip_prefix("unix://").context("the scheme must be unix")?;
        let socket = UnixStream::connect(path)?;
        let client = Client::new(socket.try_clone()?.into_raw_fd())?;
        Ok(Self { client, socket })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Fails only if the other side was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl<'a> Bundle<'a> {
    /// # Errors
    /// The bundle can't be written.
    pub(super) fn new(stage: &'a Stage, runtime: &Runtime) -> Result<Self> {
        let id = stage.new_id();
        let directory = stage.directory().join(&id);
        fs::create_dir_all(directory.join("rootfs"))?;
        fs::write(directory.join("config.json"), runtime.spec.to_string())?;
        let log = fifo(&directory.join("log"))?;
        Ok(Self { stage, program: runtime.program.clone(), id, directory, _log: log })
    }

    /// Standard streams in the bundle's directory.
    ///
    /// # Errors
    /// They can't be made.
    pub(super) fn streams(&self) -> Result<Streams> {
        Streams::make(&self.directory)
    }

    /// Calls `start`, connects, and creates the container; without streams its output goes nowhere.
    ///
    /// # Errors
    /// The shim refuses.
    pub(super) fn create(self, streams: Option<&Streams>) -> Result<Task<'a>> {
        let address = String::from_utf8(self.call("start", &[])?)?;
        let connection = Connection::open(&address).with_context(|| address.clone())?;
        let request = self.request(streams);
        let task = Task { bundle: self, connection: Some(connection) };
        task.call::<api::CreateTaskResponse>("Create", &request)?;
        Ok(task)
    }

    fn request(&self, streams: Option<&Streams>) -> api::CreateTaskRequest {
        let path = |path: &Path| path.display().to_string();
        let stream =
            |which: fn(&Streams) -> &PathBuf| streams.map(|streams| path(which(streams))).unwrap_or_default();
        let rootfs = api::Mount {
            type_: "bind".to_owned(),
            source: path(&self.stage.rootfs()),
            options: ["rbind", "ro"].map(str::to_owned).to_vec(),
            ..api::Mount::default()
        };
        api::CreateTaskRequest {
            id: self.id.clone(),
            bundle: path(&self.directory),
            rootfs: vec![rootfs],
            stdin: stream(|streams| &streams.stdin),
            stdout: stream(|streams| &streams.stdout),
            stderr: stream(|streams| &streams.stderr),
            ..api::CreateTaskRequest::default()
        }
    }

    /// Runs the shim's binary for `action` in the bundle's directory, and gives its answer.
    fn call(&self, action: &str, more: &[&OsStr]) -> Result<Vec<u8>> {
        let mut command = sh::command(&self.program);
        command.args(["-namespace", NAMESPACE, "-id", &self.id, "-publish-binary", "true", "-address"]);
        command.arg(self.stage.directory()).args(more).arg(action).current_dir(&self.directory);
        command.env("TTRPC_ADDRESS", self.stage.event_socket()).env("MICRUN_QEMU", &self.stage.tools.qemu);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("{action}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(output.stdout)
    }
}

impl Task<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// The shim refuses.
    pub(super) fn start(&self) -> Result<()> {
        let request = api::StartRequest { id: self.id(), ..api::StartRequest::default() };
        self.call::<api::StartResponse>("Start", &request).map(drop)
    }

    /// Kills it and waits until the shim says that it has ended.
    ///
    /// # Errors
    /// The shim refuses, or does not say so in time.
    pub(super) fn kill(&self) -> Result<()> {
        let request = api::KillRequest { id: self.id(), signal: KILL, ..api::KillRequest::default() };
        self.call::<Empty>("Kill", &request)?;
        self.wait()
    }

    /// Waits until the shim says that it has ended.
    ///
    /// # Errors
    /// The shim does not say so in time.
    pub(super) fn wait(&self) -> Result<()> {
        let request = api::WaitRequest { id: self.id(), ..api::WaitRequest::default() };
        self.call::<api::WaitResponse>("Wait", &request).map(drop)
    }

    /// The process that serves it.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn server(&self) -> Result<Pid> {
        let request = api::ConnectRequest { id: self.id(), ..api::ConnectRequest::default() };
        let answer: api::ConnectResponse = self.call("Connect", &request)?;
        let pid = i32::try_from(answer.shim_pid).ok().and_then(Pid::from_raw);
        pid.with_context(|| format!("shim_pid is {}, it must be a process id", answer.shim_pid))
    }

    /// Deletes it and cleans up; waits for the end of `server` if that was its last container.
    ///
    /// # Errors
    /// The shim refuses, or its server does not end.
    pub(super) fn delete(mut self, server: Option<Pid>) -> Result<()> {
        self.take_away(server)
    }

    fn take_away(&mut self, server: Option<Pid>) -> Result<()> {
        let (delete, shutdown) = (
            api::DeleteRequest { id: self.id(), ..api::DeleteRequest::default() },
            api::ShutdownRequest { id: self.id(), ..api::ShutdownRequest::default() },
        );
        let deleted = self.call::<api::DeleteResponse>("Delete", &delete);
        // Debian's shim may be gone before it has answered, which containerd lets pass too.
        let shut_down =
            self.call::<Empty>("Shutdown", &shutdown).or_else(|error| match error.downcast_ref() {
                Some(ttrpc::Error::Socket(_)) => Ok(Empty::new()),
                _ => Err(error),
            });
        self.connection = None;
        let ended = server.map_or(Ok(()), wait_for_end);
        let bundle = [OsStr::new("-bundle"), self.bundle.directory.as_os_str()];
        let cleaned = self.bundle.call("delete", &bundle);
        deleted.and(shut_down).and(ended).and(cleaned).map(drop)
    }

    fn id(&self) -> String {
        self.bundle.id.clone()
    }

    fn call<A: Message>(&self, method: &str, request: &impl Message) -> Result<A> {
        let connection = self.connection.as_ref().context("the container is deleted")?;
        let request = Request {
            service: SERVICE.to_owned(),
            method: method.to_owned(),
            payload: request.write_to_bytes()?,
            timeout_nano: i64::try_from(DEADLINE.as_nanos())?,
            ..Request::default()
        };
        let answer = connection.client.request(request).with_context(|| method.to_owned())?;
        Ok(A::parse_from_bytes(&answer.payload)?)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if self.connection.is_some() {
            // After a failure, which is reported; what is left is taken away as far as the shim still answers.
            let _ = self.kill();
            let _ = self.take_away(None);
        }
    }
}

/// Waits until `child` has ended, and takes its cost over to this process's children's.
fn wait_for_end(child: Pid) -> Result<()> {
    readable(pidfd_open(child, PidfdFlags::empty())?, DEADLINE).context("the end of the shim's server")?;
    waitpid(Some(child), WaitOptions::NOHANG)?;
    Ok(())
}
