//! A container of a pod.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use qemu_tests::{DEADLINE, wait_for};
use serde_json::Value;

use crate::api::{
    AttachRequest, ContainerState, ContainerStats, ContainerStatsRequest, ContainerStatus,
    ContainerStatusRequest, ContainerStatusResponse, ExecSyncRequest, ExecSyncResponse,
    LinuxContainerResources, RemoveContainerRequest, StartContainerRequest, StopContainerRequest,
    UpdateContainerResourcesRequest,
};
use crate::log::{Line, lines};
use crate::{Attached, Cri};

/// How long a program in a container may take, in seconds.
const EXEC_SECONDS: i64 = 30;

/// A container that was started.
#[derive(Debug)]
pub struct Container<'p> {
    cri: &'p Cri,
    id: String,
    log: PathBuf,
}

impl<'p> Container<'p> {
    pub(crate) fn start(cri: &'p Cri, id: String, log: PathBuf) -> Result<Self> {
        let request = StartContainerRequest { container_id: id.clone() };
        cri.call(async |runtime| runtime.start_container(request).await)?;
        Ok(Self { cri, id, log })
    }

    /// containerd's name for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens a stream to its console.
    ///
    /// # Errors
    /// containerd refuses, or its streaming server does not answer.
    pub fn attach(&self) -> Result<Attached> {
        let request = AttachRequest {
            container_id: self.id.clone(),
            stdin: true,
            tty: true,
            stdout: true,
            // A terminal has one stream only.
            stderr: false,
        };
        Attached::open(&self.cri.call(async |runtime| runtime.attach(request).await)?.url)
    }

    /// Runs a program in it to its end.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn exec(&self, command: &[&str]) -> Result<ExecSyncResponse> {
        let request = ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: command.iter().map(ToString::to_string).collect(),
            timeout: EXEC_SECONDS,
        };
        Ok(self.cri.call(async |runtime| runtime.exec_sync(request).await)?)
    }

    /// Changes its resources; what is 0 or empty stays as it is.
    ///
    /// # Errors
    /// containerd or the shim refuses.
    pub fn update(&self, resources: LinuxContainerResources) -> Result<()> {
        let request =
            UpdateContainerResourcesRequest { container_id: self.id.clone(), linux: Some(resources) };
        self.cri.call(async |runtime| runtime.update_container_resources(request).await)?;
        Ok(())
    }

    /// What containerd says about it.
    ///
    /// # Errors
    /// There is no such container.
    pub fn status(&self) -> Result<ContainerStatus> {
        self.look()?.status.context("no status")
    }

    /// Whether containerd says that it runs.
    ///
    /// # Errors
    /// As [`Container::status`].
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.status()?.state == ContainerState::ContainerRunning as i32)
    }

    /// The process that stands for it.
    ///
    /// # Errors
    /// containerd does not say.
    pub fn pid(&self) -> Result<u32> {
        let info: Value = serde_json::from_str(self.look()?.info.get("info").context("no info")?)?;
        let pid = info["pid"].as_u64().with_context(|| info.to_string())?;
        Ok(u32::try_from(pid)?)
    }

    /// Waits until it has ended; gives its exit status and the reason.
    ///
    /// # Errors
    /// It has not at the deadline.
    pub fn ended(&self) -> Result<(i32, String)> {
        wait_for("the container's end", DEADLINE, || {
            let status = self.status().ok()?;
            let ended = status.state == ContainerState::ContainerExited as i32;
            ended.then_some((status.exit_code, status.reason))
        })
    }

    /// What it has used.
    ///
    /// # Errors
    /// containerd can't tell.
    pub fn stats(&self) -> Result<ContainerStats> {
        let request = ContainerStatsRequest { container_id: self.id.clone() };
        let answer = self.cri.call(async |runtime| runtime.container_stats(request).await)?;
        answer.stats.context("no stats")
    }

    /// Its log so far.
    ///
    /// # Errors
    /// There is none, or it has another form than logs have.
    pub fn log(&self) -> Result<Vec<Line>> {
        lines(&fs::read_to_string(&self.log).with_context(|| self.log.display().to_string())?)
    }

    /// Waits until a line of its log is `text` on `stream`.
    ///
    /// # Errors
    /// There is none at the deadline; the error shows the log.
    pub fn logged(&self, stream: &str, text: &str) -> Result<()> {
        let wanted = Line { stream: stream.to_owned(), full: true, text: text.to_owned() };
        let found = || self.log().is_ok_and(|log| log.contains(&wanted)).then_some(());
        wait_for(&format!("{text:?} in the log"), DEADLINE, found)
            .with_context(|| format!("{:?}", self.log()))
    }

    /// Asks it to end and waits; it is killed after so many seconds.
    ///
    /// # Errors
    /// containerd can't.
    pub fn stop(&self, seconds: i64) -> Result<()> {
        let request = StopContainerRequest { container_id: self.id.clone(), timeout: seconds };
        self.cri.call(async |runtime| runtime.stop_container(request).await)?;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// containerd can't.
    pub fn remove(&self) -> Result<()> {
        let request = RemoveContainerRequest { container_id: self.id.clone() };
        self.cri.call(async |runtime| runtime.remove_container(request).await)?;
        Ok(())
    }

    fn look(&self) -> Result<ContainerStatusResponse> {
        let request = ContainerStatusRequest { container_id: self.id.clone(), verbose: true };
        Ok(self.cri.call(async |runtime| runtime.container_status(request).await)?)
    }
}
