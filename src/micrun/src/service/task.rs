//! containerd's Task service (`containerd.task.v2.Task` and `.v3.Task`).

use std::sync::Arc;

use containerd_shim_protos::api;
use containerd_shim_protos::protobuf::MessageField;
use ttrpc::proto::Request;

use super::call::{Call, Register, Service, parse, reply, unknown};
use super::convert::{self, encoded};
use super::end::End;
use super::metrics::metrics;
use crate::container::{Container, State, pid};
use crate::error::Error;
use crate::reactor::Ended;
use crate::sandbox::Sandbox;

type Result<T> = std::result::Result<T, Error>;

const NO_EXEC: &str = "an rtos has no processes to exec: use its console (attach)";
const NO_CHECKPOINT: &str = "a core cannot be checkpointed: stop the container and start a new one";

/// Serves requests for the containers of one sandbox.
pub struct TaskService {
    sandbox: Arc<Sandbox>,
    end: Arc<End>,
}

impl TaskService {
    /// A service over `sandbox`; the first Shutdown that finds nothing left is the process's `end`.
    pub fn new(sandbox: Arc<Sandbox>, end: Arc<End>) -> TaskService {
        TaskService { sandbox, end }
    }

    /// The container that a Wait is about.
    fn waited(&self, request: &Request) -> ttrpc::Result<Register> {
        let request: api::WaitRequest = parse(request)?;
        let container = self.container(&request.id, &request.exec_id)?;
        Ok(Box::new(move |waiter| container.wait(waiter)))
    }

    /// The container that a request is about. Every exec id is unknown, as Exec makes none.
    fn container(&self, id: &str, exec_id: &str) -> Result<Arc<Container>> {
        let container = self.sandbox.get(id)?;
        if exec_id.is_empty() { Ok(container) } else { Err(Error::NotFound(format!("{id}/{exec_id}"))) }
    }
}

fn empty() -> api::Empty {
    api::Empty::new()
}

/// The answer to Wait.
fn wait_response(ended: Ended) -> Vec<u8> {
    encoded(&api::WaitResponse {
        exit_status: ended.status,
        exited_at: convert::timestamp(ended.at),
        ..Default::default()
    })
}

impl Service for TaskService {
    fn serve(&self, request: &Request, call: Call) {
        let answer = match request.method.as_str() {
            "Create" => reply(request, |request| self.create(&call, request)),
            "Start" => reply(request, |request| self.start(&request)),
            "State" => reply(request, |request| self.state(request)),
            "Kill" => reply(request, |request| self.kill(&request)),
            "Wait" => return call.wait(self.waited(request), wait_response),
            "Delete" => reply(request, |request| self.delete(&request)),
            "Pids" => reply(request, |request| self.pids(&request)),
            "Connect" => reply(request, |request| self.connect(&call, request)),
            "ResizePty" => reply(request, |request| self.resize_pty(&request)),
            "CloseIO" => reply(request, |request| self.close_io(&request)),
            "Stats" => reply(request, |request| self.stats(&request)),
            "Pause" => reply(request, |request| self.pause(&request)),
            "Resume" => reply(request, |request| self.resume(&request)),
            "Update" => reply(request, |request| self.update(request)),
            "Shutdown" => reply(request, |_: api::ShutdownRequest| Ok(self.shutdown(&call))),
            "Exec" => Err(Error::Unsupported(NO_EXEC).into()),
            "Checkpoint" => Err(Error::Unsupported(NO_CHECKPOINT).into()),
            _ => Err(unknown(request)),
        };
        call.answer(answer);
    }
}

impl TaskService {
    fn create(&self, call: &Call, request: api::CreateTaskRequest) -> Result<api::CreateTaskResponse> {
        if !request.checkpoint.is_empty() {
            return Err(Error::Unsupported(NO_CHECKPOINT));
        }
        let pid = self.sandbox.create(convert::request(request, call.timeout))?;
        Ok(api::CreateTaskResponse { pid, ..Default::default() })
    }

    fn start(&self, request: &api::StartRequest) -> Result<api::StartResponse> {
        let container = self.container(&request.id, &request.exec_id)?;
        container.start()?;
        self.sandbox.share_cpus();
        Ok(api::StartResponse { pid: container.pid, ..Default::default() })
    }

    fn state(&self, request: api::StateRequest) -> Result<api::StateResponse> {
        let container = self.container(&request.id, &request.exec_id)?;
        let mut response = api::StateResponse {
            id: request.id,
            bundle: container.bundle.display().to_string(),
            pid: container.pid,
            stdin: container.streams.stdin.clone(),
            stdout: container.streams.stdout.clone(),
            stderr: container.streams.stderr.clone(),
            terminal: container.streams.terminal,
            ..Default::default()
        };
        let status = match container.state() {
            State::Created | State::Starting => api::Status::CREATED,
            State::Running => api::Status::RUNNING,
            State::Paused => api::Status::PAUSED,
            State::Stopped(ended) => {
                response.exit_status = ended.status;
                response.exited_at = convert::timestamp(ended.at);
                api::Status::STOPPED
            }
        };
        response.status = status.into();
        Ok(response)
    }

    fn kill(&self, request: &api::KillRequest) -> Result<api::Empty> {
        self.container(&request.id, &request.exec_id)?.kill(request.signal)?;
        Ok(empty())
    }

    fn delete(&self, request: &api::DeleteRequest) -> Result<api::DeleteResponse> {
        let pid = self.container(&request.id, &request.exec_id)?.pid;
        Ok(convert::delete_response(pid, self.sandbox.delete(&request.id)?))
    }

    fn pids(&self, request: &api::PidsRequest) -> Result<api::PidsResponse> {
        let pid = self.container(&request.id, "")?.pid;
        let process = api::ProcessInfo { pid, ..Default::default() };
        Ok(api::PidsResponse { processes: vec![process], ..Default::default() })
    }

    fn connect(&self, call: &Call, request: api::ConnectRequest) -> Result<api::ConnectResponse> {
        let task_pid = self.container(&request.id, "").map_or(0, |container| container.pid);
        if !self.sandbox.knows(&request.id) {
            // A restarted containerd asks for what its predecessor had not created yet, or had just deleted. It drops
            // what is not found, and nobody else would end a server without containers.
            if self.sandbox.close() {
                self.end.come(call);
            }
            return Err(Error::NotFound(request.id));
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(api::ConnectResponse { shim_pid: pid(), task_pid, version, ..Default::default() })
    }

    fn resize_pty(&self, request: &api::ResizePtyRequest) -> Result<api::Empty> {
        // The console is a byte stream without a size.
        self.container(&request.id, &request.exec_id)?;
        Ok(empty())
    }

    fn close_io(&self, request: &api::CloseIORequest) -> Result<api::Empty> {
        let container = self.container(&request.id, &request.exec_id)?;
        if request.stdin {
            container.close_input();
        }
        Ok(empty())
    }

    fn stats(&self, request: &api::StatsRequest) -> Result<api::StatsResponse> {
        let container = self.container(&request.id, "")?;
        let usage = if container.is_pod() { self.sandbox.usage() } else { container.usage() };
        Ok(api::StatsResponse { stats: MessageField::some(metrics(usage)), ..Default::default() })
    }

    fn shutdown(&self, call: &Call) -> api::Empty {
        if self.sandbox.close() {
            self.end.come(call);
        }
        empty()
    }

    fn pause(&self, request: &api::PauseRequest) -> Result<api::Empty> {
        self.container(&request.id, "")?.pause()?;
        Ok(empty())
    }

    fn resume(&self, request: &api::ResumeRequest) -> Result<api::Empty> {
        self.container(&request.id, "")?.resume()?;
        Ok(empty())
    }

    fn update(&self, request: api::UpdateTaskRequest) -> Result<api::Empty> {
        let container = self.container(&request.id, "")?;
        container.update(&convert::resources(request)?)?;
        self.sandbox.share_cpus();
        Ok(empty())
    }
}
