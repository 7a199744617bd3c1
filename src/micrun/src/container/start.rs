//! Start: the core runs.

use std::sync::Arc;

use super::kill::{STATUS_KILLED, Stop};
use super::{Container, Core, Inner, Prepared, State};
use crate::channel;
use crate::error::Error;
use crate::events::Event;
use crate::pedestal::{Control, MachineError, Process};
use crate::reactor::{Ended, OnEnd, Session};
use crate::store::{self, Record};

/// Exit status of a container whose core did not start.
const STATUS_NOT_STARTED: u32 = 255;

impl Container {
    /// Starts the core. Blocks until it runs, with the machine's own deadline; the lock is free meanwhile.
    pub fn start(self: &Arc<Self>) -> Result<(), Error> {
        match self.begin_start()? {
            Prepared::Core(core) => self.start_core(*core),
            Prepared::Infra(infra) => self.start_infra(infra),
        }
    }

    fn start_core(self: &Arc<Self>, core: Core) -> Result<(), Error> {
        let Core { loaded, console, settings, files } = core;
        let killed = || self.lock().pending == Some(Stop::AtOnce);
        let held = loaded.held();
        match loaded.start(&killed) {
            Ok(attachment) => {
                let (process, control) = (attachment.process(), attachment.control());
                self.limit(process, control.as_deref()).map_err(|error| self.abandon(error.into()))?;
                let recorded = Record::alive(process, held).write(&self.bundle);
                // Without a record nobody could clean up after us: the core is ended by dropping the attachment.
                recorded.map_err(|error| self.abandon(error.into()))?;
                let attached = channel::attach(attachment, files, &self.bundle);
                let failed = |errno: nix::Error| Error::System { what: "epoll", error: errno.into() };
                let remote = attached.map_err(|errno| self.abandon(failed(errno)))?;
                self.commit_start(|on_end| Session::new(remote, console, settings, on_end), process, control);
                Ok(())
            }
            Err(error) => Err(self.abandon(error.into())),
        }
    }

    /// Gives a core that has just begun what it may have.
    fn limit(&self, process: Option<Process>, control: Option<&dyn Control>) -> Result<(), MachineError> {
        let (limits, group) = {
            let inner = self.lock();
            (inner.limits.as_ref().map(|limits| limits.plan.clone()), inner.group.clone())
        };
        let Some(limits) = limits else { return Ok(()) };
        let applied = group.map(|group| group.apply(&limits.group, process.map(|process| process.pid)));
        if let Some(Err(error)) = applied {
            log::warn!("limits of cpu time are not enforced: {error}");
        }
        control.map_or(Ok(()), |control| control.limit(&limits.core))
    }

    fn begin_start(&self) -> Result<Prepared, Error> {
        let mut inner = self.lock();
        let state = inner.state;
        // Only a container in state Created has something prepared.
        let Some(prepared) = inner.prepared.take() else {
            let (action, needed) = ("start", "created");
            return Err(Error::State { id: self.id.clone(), action, state, needed });
        };
        inner.state = State::Starting;
        Ok(prepared)
    }

    fn commit_start(
        self: &Arc<Self>,
        session: impl FnOnce(OnEnd) -> Session,
        process: Option<Process>,
        control: Option<Arc<dyn Control>>,
    ) {
        let mut inner = self.lock();
        inner.state = State::Running;
        inner.process = process;
        inner.control = control;
        self.publish(Event::Start);
        // The reactor can only see an end after this, so TaskExit is queued behind TaskStart.
        let container = self.clone();
        let on_end = Box::new(move |ended| container.end(&mut container.lock(), ended));
        let session = self.surroundings.reactor.attach(session(on_end));
        inner.session = Some(session);
        if let Some(stop) = inner.pending.take() {
            self.deliver(session, stop);
        }
    }

    /// The core does not run: the container has ended without ever having started.
    pub(super) fn abandon(&self, error: Error) -> Error {
        let mut inner = self.lock();
        let killed = inner.pending == Some(Stop::AtOnce);
        let ended = store::unknown_end(if killed { STATUS_KILLED } else { STATUS_NOT_STARTED });
        self.record(ended);
        self.stop(&mut inner, ended);
        error
    }

    /// The container has ended: by its core's end, which the reactor tells once, or by a signal before it ever ran.
    pub(super) fn end(&self, inner: &mut Inner, ended: Ended) {
        if inner.group.as_ref().is_some_and(|group| group.oom_kills() > 0) {
            log::error!("the emulator was killed: it took more memory than the container's limit");
            self.publish(Event::OutOfMemory);
        }
        // First, so that whoever has heard of the end finds it recorded.
        self.record(ended);
        self.stop(inner, ended);
        self.publish(Event::Exit(ended));
    }

    pub(super) fn publish(&self, event: Event) {
        self.surroundings.events.publish(&self.id, self.pid, event);
    }

    fn record(&self, ended: Ended) {
        if let Err(error) = Record::ended(ended).write(&self.bundle) {
            log::warn!("{error}");
        }
    }

    pub(super) fn stop(&self, inner: &mut Inner, ended: Ended) {
        inner.state = State::Stopped(ended);
        inner.process = None;
        inner.control = None;
        inner.waiters.tell(ended);
    }
}
