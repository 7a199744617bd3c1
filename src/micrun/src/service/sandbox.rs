//! containerd's Sandbox service (`containerd.runtime.sandbox.v1.Sandbox`): a pod without an infra container.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::sandbox_api as api;
use containerd_shim_protos::sandbox_sync;
use ttrpc::{Result, TtrpcContext};

use super::convert;
use super::end::End;
use super::metrics::metrics;
use super::wait::{Register, parse};
use crate::reactor::Ended;
use crate::sandbox::{PodRequest, PodState, Sandbox};

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
    pub(super) fn waited(&self, payload: &[u8]) -> Result<Register> {
        let request: api::WaitSandboxRequest = parse(payload)?;
        let pod = self.sandbox.pod(&request.sandbox_id)?;
        Ok(Box::new(move |waiter| pod.wait(waiter)))
    }
}

/// The answer to WaitSandbox.
pub(super) fn wait_response(ended: Ended) -> Vec<u8> {
    let response = api::WaitSandboxResponse {
        exit_status: ended.status,
        exited_at: convert::timestamp(ended.at),
        ..Default::default()
    };
    // Writing to memory fails only for messages over 2 GiB.
    response.write_to_bytes().unwrap_or_default()
}

/// All methods but WaitSandbox, which is registered by hand.
impl sandbox_sync::Sandbox for SandboxService {
    fn create_sandbox(
        &self,
        _: &TtrpcContext,
        request: api::CreateSandboxRequest,
    ) -> Result<api::CreateSandboxResponse> {
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

    fn start_sandbox(
        &self,
        _: &TtrpcContext,
        request: api::StartSandboxRequest,
    ) -> Result<api::StartSandboxResponse> {
        let pod = self.sandbox.pod(&request.sandbox_id)?;
        pod.start()?;
        let created_at = convert::timestamp(pod.created);
        Ok(api::StartSandboxResponse { pid: pod.pid, created_at, ..Default::default() })
    }

    fn platform(&self, _: &TtrpcContext, _: api::PlatformRequest) -> Result<api::PlatformResponse> {
        // The host's: firmware images carry it, and so do those of the pod's Linux containers.
        let mut response = api::PlatformResponse::new();
        let platform = response.platform.mut_or_insert_default();
        platform.os = "linux".to_owned();
        platform.architecture = ARCHITECTURE.to_owned();
        Ok(response)
    }

    fn stop_sandbox(
        &self,
        _: &TtrpcContext,
        request: api::StopSandboxRequest,
    ) -> Result<api::StopSandboxResponse> {
        let grace = Duration::from_secs(request.timeout_secs.into());
        self.sandbox.stop_pod(&request.sandbox_id, grace)?;
        Ok(api::StopSandboxResponse::new())
    }

    fn sandbox_status(
        &self,
        _: &TtrpcContext,
        request: api::SandboxStatusRequest,
    ) -> Result<api::SandboxStatusResponse> {
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

    fn ping_sandbox(&self, _: &TtrpcContext, request: api::PingRequest) -> Result<api::PingResponse> {
        self.sandbox.pod(&request.sandbox_id)?;
        Ok(api::PingResponse::new())
    }

    fn shutdown_sandbox(
        &self,
        context: &TtrpcContext,
        request: api::ShutdownSandboxRequest,
    ) -> Result<api::ShutdownSandboxResponse> {
        self.sandbox.shut_down_pod(&request.sandbox_id)?;
        self.end.come(context);
        Ok(api::ShutdownSandboxResponse::new())
    }

    fn sandbox_metrics(
        &self,
        _: &TtrpcContext,
        request: api::SandboxMetricsRequest,
    ) -> Result<api::SandboxMetricsResponse> {
        self.sandbox.pod(&request.sandbox_id)?;
        let mut response = api::SandboxMetricsResponse::new();
        let metric = response.metrics.mut_or_insert_default();
        metric.timestamp = convert::timestamp(SystemTime::now());
        metric.id = request.sandbox_id;
        metric.data = MessageField::some(metrics(self.sandbox.usage()));
        Ok(response)
    }
}

/// In Go's words, as image indexes have it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
