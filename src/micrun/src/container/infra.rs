//! The container that only stands for a pod: no firmware, no core, at most a process that holds the pod's namespaces.

use std::sync::Arc;

use super::kill::Stop;
use super::{Container, Inner, State};
use crate::bundle::Bundle;
use crate::error::Error;
use crate::events::Event;
use crate::namespaces::{Holder, Namespaces};
use crate::pedestal::Process;
use crate::pedestal::nursery::Nursery;
use crate::store;

/// What an infra container has instead of a core.
#[derive(Debug)]
pub(super) struct Infra {
    holder: Option<Holder>,
}

impl Infra {
    pub(super) fn new(bundle: &Bundle, nursery: &Nursery) -> Result<Infra, Error> {
        Ok(Infra { holder: Namespaces::of(bundle)?.hold(nursery)? })
    }

    pub(super) fn process(&self) -> Option<Process> {
        self.holder.as_ref().map(|holder| holder.process)
    }
}

impl Container {
    pub(super) fn start_infra(self: &Arc<Self>, infra: Infra) -> Result<(), Error> {
        let pidfd = infra.holder.as_ref().map(Holder::pidfd).transpose();
        let pidfd = pidfd
            .map_err(|error| self.abandon(Error::System { what: "watching the pod's process", error }))?;
        let mut inner = self.lock();
        inner.state = State::Running;
        inner.infra = Some(infra);
        self.publish(Event::Start);
        if let Some(pidfd) = pidfd {
            let container = self.clone();
            self.surroundings.reactor.watch(pidfd, Box::new(move || container.holder_ended()));
        }
        if let Some(stop) = inner.pending.take() {
            self.end_infra(&mut inner, stop);
        }
        Ok(())
    }

    /// Ends the pod's namespaces, then tells: who hears of the end finds nothing left.
    pub(super) fn end_infra(&self, inner: &mut Inner, stop: Stop) {
        inner.infra = None;
        self.end(inner, store::unknown_end(stop.status()));
    }

    /// Somebody killed the process that containerd was told of, and means the container.
    fn holder_ended(&self) {
        let mut inner = self.lock();
        if inner.infra.is_some() {
            self.end_infra(&mut inner, Stop::AtOnce);
        }
    }
}
