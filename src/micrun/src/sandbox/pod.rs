//! A pod that containerd made by its Sandbox service, instead of by an infra container.
//!
//! It is a state and, if the pod has namespaces of its own, the process that holds them. Its containers know nothing of
//! it, and it nothing of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use crate::container::pid;
use crate::error::Error;
use crate::namespaces::{Holder, Namespaces};
use crate::pedestal::nursery::Nursery;
use crate::reactor::Ended;
use crate::store::Record;
use crate::waiters::{Waiter, Waiters};

/// Exit status of a pod that was stopped.
const STATUS_STOPPED: u32 = 0;

/// A CreateSandbox request in our own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRequest {
    /// Id of the pod.
    pub id: String,
    /// Its bundle directory; there may be no `config.json` in it.
    pub bundle: PathBuf,
    /// Path of its network namespace, empty for the host's.
    pub network: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// Made, not started.
    Created,
    /// Containers can be made in it.
    Ready,
    /// Stopped.
    NotReady(Ended),
}

impl fmt::Display for PodState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PodState::Created => "created",
            PodState::Ready => "ready",
            PodState::NotReady(_) => "stopped",
        })
    }
}

/// One pod.
#[derive(Debug)]
pub struct Pod {
    /// Its id.
    pub id: String,
    /// The pid that containerd is told of: it is in the pod's namespaces.
    pub pid: u32,
    /// When it was made.
    pub created: SystemTime,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    bundle: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: PodState,
    holder: Option<Holder>,
    waiters: Waiters,
}

impl Pod {
    /// Makes a pod; on an error nothing is left.
    pub(super) fn create(request: PodRequest, nursery: &Nursery) -> Result<Pod, Error> {
        let PodRequest { id, bundle, network, annotations } = request;
        let holder = Namespaces::of_sandbox(&network, &annotations)?.hold(nursery)?;
        let process = holder.as_ref().map(|holder| holder.process);
        Record::alive(process, None).write(&bundle)?;
        let inner = Mutex::new(Inner { state: PodState::Created, holder, waiters: Waiters::default() });
        let pid = process.map_or_else(pid, |process| process.pid);
        Ok(Pod { id, pid, created: SystemTime::now(), annotations, bundle, inner })
    }

    /// Starts it.
    pub fn start(&self) -> Result<(), Error> {
        let mut inner = self.lock();
        let state = inner.state;
        if state != PodState::Created {
            return Err(Error::PodState { id: self.id.clone(), action: "start", state, needed: "created" });
        }
        inner.state = PodState::Ready;
        Ok(())
    }

    /// Its state now.
    pub fn state(&self) -> PodState {
        self.lock().state
    }

    /// Ends it, with its namespaces; once.
    pub(super) fn stop(&self) {
        let mut inner = self.lock();
        if let PodState::NotReady(_) = inner.state {
            return;
        }
        let ended = Ended { status: STATUS_STOPPED, at: SystemTime::now() };
        inner.holder = None;
        if let Err(error) = Record::ended(ended).write(&self.bundle) {
            log::warn!("{error}");
        }
        inner.state = PodState::NotReady(ended);
        inner.waiters.tell(ended);
    }

    /// Has `waiter` told of the end, at once if it has ended.
    pub fn wait(&self, waiter: Box<dyn Waiter>) {
        let mut inner = self.lock();
        if let PodState::NotReady(ended) = inner.state {
            return waiter.tell(ended);
        }
        inner.waiters.add(waiter);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}
