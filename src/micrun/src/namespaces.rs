//! Namespaces of a pod, for its Linux containers. A core has none.
//!
//! containerd builds the specification of a pod's container from the pid of its sandbox: the container joins
//! `/proc/PID/ns/net` and others. The shim itself lives in the host's namespaces, so a pod that has some of its own needs
//! a process in them: the [`Holder`], a fork of the shim that sleeps. A pod without needs none.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::bundle::Bundle;
use crate::config::{Config, ConfigError, Key, Level};
use crate::pedestal::Process;
use crate::pedestal::nursery::Nursery;
use crate::sys::{self, Hold, Step};

/// Where kernel parameters are files.
const PARAMETERS: &str = "/proc/sys";
/// Kernel parameters that belong to a namespace (namespaces(7)); others are the whole host's.
const NAMESPACED: [&str; 5] = ["net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."];

/// Why a pod does not get its namespaces.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The namespace cannot be opened or joined.
    #[error("{kind} namespace {path:?}: {source}")]
    Join {
        /// `network`, …
        kind: String,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A user namespace: the shim cannot enter one and still drive cores.
    #[error("a pod with a user namespace of its own is not supported: use the host's (hostUsers: true)")]
    User,
    /// The host name is refused.
    #[error("hostname {name:?}: {source}")]
    Hostname {
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel parameter is not a namespace's.
    #[error(
        "sysctl {0:?} belongs to the whole host, a pod can set those of its namespaces: net.*, kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*"
    )]
    HostWide(String),
    /// The kernel parameter is refused.
    #[error("sysctl {name:?}: {source}")]
    Sysctl {
        /// The parameter.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// An annotation is wrong.
    #[error(transparent)]
    Annotation(#[from] ConfigError),
    /// No process.
    #[error("a process to hold the pod's namespaces: {0}")]
    Fork(io::Error),
}

impl NamespaceError {
    /// True if what was asked for is to blame, not the system.
    pub fn is_the_callers(&self) -> bool {
        matches!(self, NamespaceError::HostWide(_) | NamespaceError::Annotation(_))
    }
}

/// What a pod is to have.
#[derive(Debug)]
pub struct Namespaces {
    make: CloneFlags,
    join: Vec<(String, PathBuf)>,
    hostname: Option<String>,
    sysctls: BTreeMap<String, String>,
}

impl Namespaces {
    /// The host's.
    fn none() -> Namespaces {
        Namespaces { make: CloneFlags::empty(), join: Vec::new(), hostname: None, sysctls: BTreeMap::new() }
    }

    /// What the specification of a pod's infra container asks for.
    pub fn of(bundle: &Bundle) -> Result<Namespaces, NamespaceError> {
        let mut namespaces = Namespaces::none();
        for namespace in &bundle.namespaces {
            namespaces.add(&namespace.kind, namespace.path.as_deref())?;
        }
        namespaces.finish(&bundle.annotations, &bundle.hostname, &bundle.sysctls)
    }

    /// What a pod made by the Sandbox service has: the network namespace at `network`, or the host's if that is empty,
    /// and its own of all other kinds that its Linux containers share.
    pub fn of_sandbox(
        network: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Namespaces, NamespaceError> {
        let mut namespaces = Namespaces::none();
        namespaces.add("ipc", None)?;
        namespaces.add("pid", None)?;
        if !network.is_empty() {
            namespaces.add("network", Some(Path::new(network)))?;
            namespaces.add("uts", None)?;
        }
        namespaces.finish(annotations, "", &BTreeMap::new())
    }

    fn add(&mut self, kind: &str, path: Option<&Path>) -> Result<(), NamespaceError> {
        let flag = match kind {
            "network" => CloneFlags::CLONE_NEWNET,
            "ipc" => CloneFlags::CLONE_NEWIPC,
            "uts" => CloneFlags::CLONE_NEWUTS,
            "pid" => CloneFlags::CLONE_NEWPID,
            "user" => return Err(NamespaceError::User),
            // Mounts and control groups are each container's own.
            _ => return Ok(()),
        };
        match path.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => self.join.push((kind.to_owned(), path.to_owned())),
            None => self.make |= flag,
        }
        Ok(())
    }

    fn finish(
        mut self,
        annotations: &BTreeMap<String, String>,
        hostname: &str,
        sysctls: &BTreeMap<String, String>,
    ) -> Result<Namespaces, NamespaceError> {
        let mut config = Config::new();
        config.add_annotations(Level::Container, annotations)?;
        config.warn();
        if config.is_on(Key::HostNetwork) {
            self.make.remove(CloneFlags::CLONE_NEWNET);
            self.join.retain(|(kind, _)| kind != "network");
        }
        if self.make.contains(CloneFlags::CLONE_NEWUTS) && !hostname.is_empty() {
            self.hostname = Some(hostname.to_owned());
        }
        if let Some(name) = sysctls.keys().find(|name| !is_namespaced(name)) {
            return Err(NamespaceError::HostWide(name.clone()));
        }
        self.sysctls = sysctls.clone();
        Ok(self)
    }

    /// Makes the process that holds them; none if the pod has only the host's.
    pub fn hold(self, nursery: &Nursery) -> Result<Option<Holder>, NamespaceError> {
        if self.make.is_empty() && self.join.is_empty() {
            return Ok(None);
        }
        let join = self.join.iter().map(open).collect::<Result<_, _>>()?;
        let parameter = |(name, value): (&String, &String)| (file_of(name), value.clone());
        let sysctls = self.sysctls.iter().map(parameter).collect();
        let wanted = Hold { make: self.make, join, hostname: self.hostname.clone(), sysctls };
        let pid = nursery.hold(wanted).map_err(|(step, source)| self.explain(step, source))?;
        Holder::of(pid).map(Some).map_err(NamespaceError::Fork)
    }

    fn explain(&self, step: Step, source: io::Error) -> NamespaceError {
        match step {
            Step::Fork => NamespaceError::Fork(source),
            Step::Hostname => {
                NamespaceError::Hostname { name: self.hostname.clone().unwrap_or_default(), source }
            }
            Step::Join(index) => {
                let (kind, path) = self.join.get(index).cloned().unwrap_or_default();
                NamespaceError::Join { kind, path, source }
            }
            Step::Sysctl(index) => NamespaceError::Sysctl {
                name: self.sysctls.keys().nth(index).cloned().unwrap_or_default(),
                source,
            },
        }
    }
}

fn open((kind, path): &(String, PathBuf)) -> Result<File, NamespaceError> {
    File::open(path).map_err(|source| NamespaceError::Join { kind: kind.clone(), path: path.clone(), source })
}

/// A plain name, so that its dots can stand for slashes, of one of the namespaced families.
fn is_namespaced(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    plain && !name.contains("..") && NAMESPACED.iter().any(|family| name.starts_with(family))
}

fn file_of(name: &str) -> CString {
    // A plain name has no zero byte.
    CString::new(format!("{PARAMETERS}/{}", name.replace('.', "/"))).unwrap_or_default()
}

/// The process that holds a pod's namespaces; ended and reaped when dropped.
#[derive(Debug)]
pub struct Holder {
    /// Which process it is.
    pub process: Process,
    pidfd: OwnedFd,
}

impl Holder {
    fn of(pid: u32) -> io::Result<Holder> {
        let known = sys::open_pidfd(pid).and_then(|pidfd| Ok(Holder { pidfd, process: sys::identify(pid)? }));
        known.inspect_err(|_| end(pid))
    }

    /// A descriptor that becomes readable when the process ends.
    pub fn pidfd(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        end(self.process.pid);
    }
}

/// Ends our own child and reaps it.
fn end(pid: u32) {
    let pid = Pid::from_raw(pid as i32);
    // Both fail only if it was reaped before, which nobody else does.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    let _ = waitpid(pid, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, key: &str, value: &str) -> Result<Namespaces, NamespaceError> {
        Namespaces::of_sandbox(path, &BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn an_annotation_keeps_a_pod_in_the_hosts_network() {
        for (key, value) in [
            ("org.openeuler.micrun.runtime.disable_new_netns", "true"),
            ("org.openeuler.micran.runtime.disable_new_netns", " 1 "),
        ] {
            assert!(of("/run/netns/a", key, value).expect("right").join.is_empty(), "{key}");
        }
        let key = "org.openeuler.micrun.runtime.disable_new_netns";
        assert_eq!(of("/run/netns/a", key, "false").expect("right").join.len(), 1);
        let wrong = of("/run/netns/a", key, "maybe").expect_err("wrong");
        assert!(wrong.is_the_callers());
        assert_eq!(wrong.to_string(), format!("annotation {key} is \"maybe\", it must be true or false"));
    }
}
