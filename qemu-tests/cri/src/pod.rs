//! A pod: a sandbox, and containers that share it.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use qemu_tests::{Artifacts, busybox};
use serde_json::Value;

use crate::api::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, ImageSpec, KeyValue, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    PodSandboxState, PodSandboxStatus, PodSandboxStatusRequest, RemovePodSandboxRequest,
    RunPodSandboxRequest, StopPodSandboxRequest,
};
use crate::{Container, Cri};

/// The network of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The host's.
    Host,
    /// One of its own, with an address on the node's bridge.
    Bridge,
}

/// A pod that was run. It stays when this is dropped: a test that fails leaves it to the end of its node.
#[derive(Debug)]
pub struct Pod<'n> {
    cri: &'n Cri,
    config: PodSandboxConfig,
    namespaces: NamespaceOption,
    id: String,
    containers: Cell<u32>,
}

impl<'n> Pod<'n> {
    /// Runs a pod by the runtime handler `handler`; its containers log to the directory `logs`. The names of pods of
    /// one containerd must differ.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn run(cri: &'n Cri, handler: &str, name: &str, network: Network, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let namespaces = namespaces(network);
        let config = config(name, &logs.to_string_lossy(), namespaces);
        let request =
            RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler.to_owned() };
        let answer = cri.call(async |runtime| runtime.run_pod_sandbox(request).await);
        let id = answer.with_context(|| format!("pod {name} by {handler}"))?.pod_sandbox_id;
        Ok(Self { cri, config, namespaces, id, containers: Cell::new(0) })
    }

    /// containerd's name for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Creates and starts the test RTOS with a terminal, as `kubectl run -it` would.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn rtos(&self, name: &str) -> Result<Container<'n>> {
        self.start(ContainerConfig { tty: true, stdin: true, ..self.container(name, Artifacts::HELLO) })
    }

    /// Creates and starts the test RTOS as pods have it by default: no terminal, no input.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn silent_rtos(&self, name: &str) -> Result<Container<'n>> {
        self.start(self.container(name, Artifacts::HELLO))
    }

    /// Creates and starts the test RTOS, or another image with firmware, with resources as the kubelet gives them.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn limited(
        &self,
        name: &str,
        image: &str,
        resources: LinuxContainerResources,
    ) -> Result<Container<'n>> {
        let mut config = ContainerConfig { tty: true, stdin: true, ..self.container(name, image) };
        config.linux.get_or_insert_default().resources = Some(resources);
        self.start(config)
    }

    /// Creates and starts a Linux container that runs a shell script.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn sidecar(&self, name: &str, script: &str) -> Result<Container<'n>> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        self.start(ContainerConfig { command, ..self.container(name, busybox::IMAGE) })
    }

    /// What containerd says about it.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn status(&self) -> Result<PodSandboxStatus> {
        Ok(self.look()?.0)
    }

    /// Whether containerd says that containers can run in it.
    ///
    /// # Errors
    /// As [`Pod::status`].
    pub fn is_ready(&self) -> Result<bool> {
        Ok(self.status()?.state == PodSandboxState::SandboxReady as i32)
    }

    /// Its address on the bridge, empty with the host's network.
    ///
    /// # Errors
    /// As [`Pod::status`].
    pub fn address(&self) -> Result<String> {
        Ok(self.status()?.network.unwrap_or_default().ip)
    }

    /// The file that stands for its network namespace; none with the host's network.
    ///
    /// # Errors
    /// containerd does not say.
    pub fn network_namespace(&self) -> Result<Option<PathBuf>> {
        let (_, info) = self.look()?;
        let info: Value = serde_json::from_str(info.get("info").context("no info")?)?;
        let namespaces = info.pointer("/runtimeSpec/linux/namespaces").and_then(Value::as_array);
        let network = namespaces.into_iter().flatten().find(|namespace| namespace["type"] == "network");
        Ok(network.and_then(|network| network["path"].as_str()).map(PathBuf::from))
    }

    /// Stops it and whatever runs in it.
    ///
    /// # Errors
    /// containerd can't.
    pub fn stop(&self) -> Result<()> {
        let request = StopPodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.call(async |runtime| runtime.stop_pod_sandbox(request).await)?;
        Ok(())
    }

    /// Removes it and its containers.
    ///
    /// # Errors
    /// containerd can't.
    pub fn remove(&self) -> Result<()> {
        let request = RemovePodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.call(async |runtime| runtime.remove_pod_sandbox(request).await)?;
        Ok(())
    }

    /// Its status, and what containerd tells beyond it.
    fn look(&self) -> Result<(PodSandboxStatus, HashMap<String, String>)> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: self.id.clone(), verbose: true };
        let answer = self.cri.call(async |runtime| runtime.pod_sandbox_status(request).await)?;
        Ok((answer.status.context("no status")?, answer.info))
    }

    /// Like the kubelet, counts attempts, so that a container may have the name of one that has ended.
    fn container(&self, name: &str, image: &str) -> ContainerConfig {
        let attempt = self.containers.get();
        self.containers.set(attempt + 1);
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt }),
            image: Some(ImageSpec { image: image.to_owned(), ..ImageSpec::default() }),
            envs: vec![KeyValue { key: "PATH".to_owned(), value: "/bin".to_owned() }],
            log_path: format!("{name}.{attempt}.log"),
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: Some(self.namespaces),
                    ..LinuxContainerSecurityContext::default()
                }),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        }
    }

    fn start(&self, config: ContainerConfig) -> Result<Container<'n>> {
        let log = PathBuf::from(&self.config.log_directory).join(&config.log_path);
        let request = CreateContainerRequest {
            pod_sandbox_id: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let answer = self.cri.call(async |runtime| runtime.create_container(request).await)?;
        Container::start(self.cri, answer.container_id, log)
    }
}

/// Like the kubelet's, unless a pod asks for `shareProcessNamespace`.
fn namespaces(network: Network) -> NamespaceOption {
    let network = match network {
        Network::Host => NamespaceMode::Node,
        Network::Bridge => NamespaceMode::Pod,
    };
    let pid = NamespaceMode::Container as i32;
    NamespaceOption { network: network as i32, pid, ..NamespaceOption::default() }
}

fn config(name: &str, logs: &str, namespaces: NamespaceOption) -> PodSandboxConfig {
    // Who shares the host's network shares its name as well.
    let hostname = if namespaces.network == NamespaceMode::Node as i32 { "" } else { name };
    let security = LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces),
        ..LinuxSandboxSecurityContext::default()
    };
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            namespace: "tests".to_owned(),
            attempt: 0,
        }),
        hostname: hostname.to_owned(),
        log_directory: logs.to_owned(),
        linux: Some(LinuxPodSandboxConfig {
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}
