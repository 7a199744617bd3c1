//! The containers that this shim serves: one, or those of a pod.

mod pod;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use pod::{Pod, PodRequest, PodState};

use crate::bundle::Bundle;
use crate::container::{Container, Request, Surroundings, Usage};
use crate::error::Error;
use crate::kind;
use crate::reactor::Ended;

/// All containers by id. The lock of this map is taken before a container's own, and never held over slow work.
pub struct Sandbox {
    surroundings: Surroundings,
    slots: Mutex<Slots>,
    /// Held while CPUs are shared out, which may take its time. Taken before all others.
    sharing: Mutex<()>,
}

#[derive(Default)]
struct Slots {
    /// `None`: a Create or Delete of that id is under way.
    containers: BTreeMap<String, Option<Arc<Container>>>,
    /// The pod, if the Sandbox service made one.
    pod: Option<Arc<Pod>>,
    /// There was a Create.
    used: bool,
    /// The process is about to end: nothing is created any more.
    closed: bool,
}

impl Sandbox {
    /// A sandbox without containers.
    pub fn new(surroundings: Surroundings) -> Sandbox {
        Sandbox { surroundings, slots: Mutex::default(), sharing: Mutex::default() }
    }

    /// Makes a container; the pid that stands for it.
    pub fn create(&self, request: Request) -> Result<u32, Error> {
        let id = request.id.clone();
        self.reserve(&id)?;
        let created = Container::create(request, self.surroundings.clone(), &|own| self.pod_annotations(own));
        let mut slots = self.slots.lock().unwrap();
        match created {
            Ok(container) => {
                let pid = container.pid;
                slots.containers.insert(id, Some(Arc::new(container)));
                drop(slots);
                self.share_cpus();
                Ok(pid)
            }
            Err(error) => {
                slots.containers.remove(&id);
                Err(error)
            }
        }
    }

    /// Has all containers run on the CPUs of all, if the node wants that. To be called whenever a container has come, has
    /// gone, has been started or has other CPUs.
    pub fn share_cpus(&self) {
        let members = || -> Vec<_> {
            self.containers().into_iter().filter(|container| container.shares_cpus()).collect()
        };
        // Elsewhere nobody is to wait for anybody.
        if members().is_empty() {
            return;
        }
        let _turn = self.sharing.lock().unwrap();
        let members = members();
        let own = members.iter().filter_map(|container| container.own_cpus());
        let pool = own.reduce(|all, cpus| all.or(&cpus));
        for container in members {
            if let Err(error) = container.share_cpus(pool.as_ref()) {
                log::warn!("{} does not get the cpus of its pod: {error}", container.id);
            }
        }
    }

    /// The container of that id.
    pub fn get(&self, id: &str) -> Result<Arc<Container>, Error> {
        let slots = self.slots.lock().unwrap();
        slots.containers.get(id).cloned().flatten().ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// True if this is a container, also one whose Create or Delete is under way, or the pod.
    pub fn knows(&self, id: &str) -> bool {
        let slots = self.slots.lock().unwrap();
        slots.containers.contains_key(id) || slots.pod.as_ref().is_some_and(|pod| pod.id == id)
    }

    /// Deletes a container that does not run.
    pub fn delete(&self, id: &str) -> Result<Ended, Error> {
        let container = self.get(id)?;
        let ended = container.begin_delete()?;
        self.take(id, &container)?;
        container.finish_delete(ended);
        // Only now: until here the process must not end.
        self.slots.lock().unwrap().containers.remove(id);
        self.share_cpus();
        Ok(ended)
    }

    /// Makes the pod that the containers belong to. Quick, so the lock is held all the way.
    pub fn create_pod(&self, request: PodRequest) -> Result<(), Error> {
        check_id(&request.id)?;
        let mut slots = self.slots.lock().unwrap();
        if slots.closed {
            return Err(Error::Closed);
        }
        if slots.pod.is_some() {
            return Err(Error::AlreadyExists(request.id));
        }
        slots.pod = Some(Arc::new(Pod::create(request, &self.surroundings.nursery)?));
        slots.used = true;
        Ok(())
    }

    /// The pod of that id.
    pub fn pod(&self, id: &str) -> Result<Arc<Pod>, Error> {
        let pod = self.slots.lock().unwrap().pod.clone();
        pod.filter(|pod| pod.id == id).ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// Ends the pod and whatever still runs in it, with `grace` for the firmware.
    pub fn stop_pod(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let pod = self.pod(id)?;
        self.end_all(grace);
        pod.stop();
        Ok(())
    }

    /// Ends everything at once, for good.
    pub fn shut_down_pod(&self, id: &str) -> Result<(), Error> {
        self.stop_pod(id, Duration::ZERO)?;
        self.slots.lock().unwrap().closed = true;
        Ok(())
    }

    /// What all containers together have used.
    pub fn usage(&self) -> Usage {
        let containers = self.containers();
        containers.iter().map(|container| container.usage()).fold(Usage::default(), Usage::and)
    }

    /// Closes the sandbox if nothing is left in it; true if it is closed.
    pub fn close(&self) -> bool {
        let mut slots = self.slots.lock().unwrap();
        slots.closed |= slots.containers.is_empty() && slots.pod.is_none();
        slots.closed
    }

    /// Closes the sandbox if nothing was ever created; true if it is closed.
    pub fn close_unused(&self) -> bool {
        let mut slots = self.slots.lock().unwrap();
        slots.closed |= !slots.used;
        slots.closed
    }

    /// Asks all firmware to power itself off, and cuts the power of what still runs after `grace`.
    pub fn end_all(&self, grace: Duration) {
        let containers = self.containers();
        for (signal, deadline) in
            [(libc::SIGTERM, Instant::now() + grace), (libc::SIGKILL, Instant::now() + 2 * grace)]
        {
            // What does not run refuses the signal and is not waited for.
            let asked = containers.iter().filter(|container| container.kill(signal as u32).is_ok());
            for container in asked.collect::<Vec<_>>() {
                container.wait_for(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Annotations of the pod that a container with these ones is in; none if it is in no pod.
    fn pod_annotations(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let pod = self.slots.lock().unwrap().pod.clone();
        if let Some(pod) = pod {
            return pod.annotations.clone();
        }
        let infra = kind::pod_of(own).and_then(|pod| self.get(pod).ok());
        // It was readable when the pod was made.
        let annotations = |infra: Arc<Container>| Some(Bundle::open(&infra.bundle).ok()?.annotations);
        infra.and_then(annotations).unwrap_or_default()
    }

    fn containers(&self) -> Vec<Arc<Container>> {
        self.slots.lock().unwrap().containers.values().flatten().cloned().collect()
    }

    /// Of two Deletes at once, the one that finds the container in its slot goes on.
    fn take(&self, id: &str, container: &Arc<Container>) -> Result<(), Error> {
        let mut slots = self.slots.lock().unwrap();
        match slots.containers.get_mut(id) {
            Some(slot) if slot.as_ref().is_some_and(|there| Arc::ptr_eq(there, container)) => {
                *slot = None;
                Ok(())
            }
            _ => Err(Error::NotFound(id.to_owned())),
        }
    }

    fn reserve(&self, id: &str) -> Result<(), Error> {
        check_id(id)?;
        let mut slots = self.slots.lock().unwrap();
        if slots.closed {
            return Err(Error::Closed);
        }
        if slots.containers.contains_key(id) {
            return Err(Error::AlreadyExists(id.to_owned()));
        }
        slots.used = true;
        slots.containers.insert(id.to_owned(), None);
        Ok(())
    }
}

fn check_id(id: &str) -> Result<(), Error> {
    if valid_id(id) { Ok(()) } else { Err(Error::BadId(id.to_owned())) }
}

/// True for the ids that containerd makes (its `identifiers` package); they become parts of paths.
fn valid_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.len() <= 76
        && id.bytes().all(allowed)
        && id.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::valid_id;

    #[test]
    fn ids_that_are_no_file_names_are_refused() {
        for id in ["a", "hello-1", "a.b_c", "0123456789abcdef", &"x".repeat(76)] {
            assert!(valid_id(id), "{id}");
        }
        for id in ["", ".", "..", "-a", "a/b", "a b", "é", &"x".repeat(77)] {
            assert!(!valid_id(id), "{id}");
        }
    }
}
