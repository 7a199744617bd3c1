//! containerd's Sandbox service (`containerd.runtime.sandbox.v1.Sandbox`): a pod without an infra container.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::sandbox_api as api;
use ttrpc::proto::Request;

use super::call::{Call, Register, Service, parse, reply, unknown};
use super::convert::{self, encoded};
use super::end::End;
use super::metrics::metrics;
use crate::error::Error;
use crate::reactor::Ended;
use crate::sandbox::{PodRequest, PodState, Sandbox};

type Result<T> = std::result::Result<T, Error>;

/// Serves requests for the pod of one shim.
pub struct SandboxService {
    sandbox: Arc<Sandbox>,
    end: Arc<End>,
}

impl SandboxService {
    /// A service over `sandbox`; ShutdownSandbox is the process's `end`.
    pub fn new(sandbox: Arc<Sandbox>, end: Arc<End>) -> SandboxService {
        SandboxService { sandbox, end }
    }

    /// The pod that a WaitSandbox is about.
    fn waited(&self, request: &Request) -> ttrpc::Result<Register> {
        let request: api::WaitSandboxRequest = parse(request)?;
        let pod = self.sandbox.pod(&request.sandbox_id)?;
        Ok(Box::new(move |waiter| pod.wait(waiter)))
    }
}

/// The answer to WaitSandbox.
fn wait_response(ended: Ended) -> Vec<u8> {
    encoded(&api::WaitSandboxResponse {
        exit_status: ended.status,
        exited_at: convert::timestamp(ended.at),
        ..Default::default()
    })
}

impl Service for SandboxService {
    fn serve(&self, request: &Request, call: Call) {
        let answer = match request.method.as_str() {
            "CreateSandbox" => reply(request, |request| self.create_sandbox(request)),
            "StartSandbox" => reply(request, |request| self.start_sandbox(&request)),
            "Platform" => reply(request, |_: api::PlatformRequest| Ok(platform())),
            "StopSandbox" => reply(request, |request| self.stop_sandbox(&request)),
            "WaitSandbox" => return call.wait(self.waited(request), wait_response),
            "SandboxStatus" => reply(request, |request| self.sandbox_status(request)),
            "PingSandbox" => reply(request, |request| self.ping_sandbox(&request)),
            "ShutdownSandbox" => reply(request, |request| self.shutdown_sandbox(&call, &request)),
            "SandboxMetrics" => reply(request, |request| self.sandbox_metrics(request)),
            _ => Err(unknown(request)),
        };
        call.answer(answer);
    }
}

impl SandboxService {
    fn create_sandbox(&self, request: api::CreateSandboxRequest) -> Result<api::CreateSandboxResponse> {
        let mut annotations = BTreeMap::new();
        annotations.extend(request.annotations);
        // No mounts: what a pod's root file system would hold is of no use to a core.
        self.sandbox.create_pod(PodRequest {
            id: request.sandbox_id,
            bundle: request.bundle_path.into(),
            network: request.netns_path,
            annotations,
        })?;
        Ok(api::CreateSandboxResponse::new())
    }

    fn start_sandbox(&self, request: &api::StartSandboxRequest) -> Result<api::StartSandboxResponse> {
        let pod = self.sandbox.pod(&request.sandbox_id)?;
        pod.start()?;
        let created_at = convert::timestamp(pod.created);
        Ok(api::StartSandboxResponse { pid: pod.pid, created_at, ..Default::default() })
    }

    fn stop_sandbox(&self, request: &api::StopSandboxRequest) -> Result<api::StopSandboxResponse> {
        let grace = Duration::from_secs(request.timeout_secs.into());
        self.sandbox.stop_pod(&request.sandbox_id, grace)?;
        Ok(api::StopSandboxResponse::new())
    }

    fn sandbox_status(&self, request: api::SandboxStatusRequest) -> Result<api::SandboxStatusResponse> {
        let pod = self.sandbox.pod(&request.sandbox_id)?;
        let mut response = api::SandboxStatusResponse {
            sandbox_id: request.sandbox_id,
            pid: pod.pid,
            created_at: convert::timestamp(pod.created),
            ..Default::default()
        };
        let state = pod.state();
        if let PodState::NotReady(ended) = state {
            response.exited_at = convert::timestamp(ended.at);
        }
        // CRI's words.
        let ready = state == PodState::Ready;
        response.state = if ready { "SANDBOX_READY" } else { "SANDBOX_NOTREADY" }.to_owned();
        if request.verbose {
            response.info.insert("state".to_owned(), state.to_string());
        }
        Ok(response)
    }

    fn ping_sandbox(&self, request: &api::PingRequest) -> Result<api::PingResponse> {
        self.sandbox.pod(&request.sandbox_id)?;
        Ok(api::PingResponse::new())
    }

    fn shutdown_sandbox(
        &self,
        call: &Call,
        request: &api::ShutdownSandboxRequest,
    ) -> Result<api::ShutdownSandboxResponse> {
        self.sandbox.shut_down_pod(&request.sandbox_id)?;
        self.end.come(call);
        Ok(api::ShutdownSandboxResponse::new())
    }

    fn sandbox_metrics(&self, request: api::SandboxMetricsRequest) -> Result<api::SandboxMetricsResponse> {
        self.sandbox.pod(&request.sandbox_id)?;
        let mut response = api::SandboxMetricsResponse::new();
        let metric = response.metrics.mut_or_insert_default();
        metric.timestamp = convert::timestamp(SystemTime::now());
        metric.id = request.sandbox_id;
        metric.data = MessageField::some(metrics(self.sandbox.usage()));
        Ok(response)
    }
}

/// The host's: firmware images carry it, and so do those of the pod's Linux containers.
fn platform() -> api::PlatformResponse {
    let mut response = api::PlatformResponse::new();
    let platform = response.platform.mut_or_insert_default();
    platform.os = "linux".to_owned();
    platform.architecture = ARCHITECTURE.to_owned();
    response
}

/// In Go's words, as image indexes have it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
