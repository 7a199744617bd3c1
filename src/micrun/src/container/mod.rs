//! One container: its states, and one file per thing that can be done to it.
//!
//! A request takes the lock, checks and changes the state, and lets go of it before anything slow is done; the reactor
//! reports the end through a closure. A container knows nothing of its sandbox.

mod create;
mod delete;
mod image;
mod infra;
mod instance;
mod kill;
mod limits;
mod pause;
mod start;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod update;
mod wait;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

pub use create::{OfPod, Request};
use infra::Infra;
use kill::Stop;
use limits::Limits;
pub use state::State;
pub use stats::Usage;

use crate::console::{Console, Streams};
use crate::events::Events;
use crate::pedestal::group::Group;
use crate::pedestal::{Control, Loaded, Process};
use crate::reactor::{Reactor, SessionId};
use crate::rootfs::Rootfs;
use crate::rpc::SharedFiles;
use crate::settings::Settings;
use crate::waiters::Waiters;

/// What a container needs of the shim around it.
#[derive(Clone)]
pub struct Surroundings {
    /// Owns running cores.
    pub reactor: Reactor,
    /// Takes what happens.
    pub events: Events,
    /// containerd's namespace.
    pub namespace: Arc<str>,
    /// Starts processes.
    pub nursery: crate::pedestal::nursery::Nursery,
}

/// One container.
pub struct Container {
    /// Its id, unique in its namespace.
    pub id: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its standard streams.
    pub streams: Streams,
    /// The pid that containerd is told of.
    pub pid: u32,
    surroundings: Surroundings,
    /// Held by requests that wait for the machine, one at a time. Taken before `inner`, which they leave free.
    turn: Mutex<()>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// What Start needs; gone afterwards.
    prepared: Option<Prepared>,
    /// Told when the state becomes `Stopped`.
    waiters: Waiters,
    session: Option<SessionId>,
    /// What a running infra container is.
    infra: Option<Infra>,
    /// A signal that came while the core was being started.
    pending: Option<Stop>,
    process: Option<Process>,
    /// What can be done to its core, while that runs.
    control: Option<Arc<dyn Control>>,
    /// The control group of the process that plays its core.
    group: Option<Arc<Group>>,
    /// What its core may have; `None` if it has no core.
    limits: Option<Limits>,
    /// Unmounted when dropped.
    rootfs: Option<Rootfs>,
}

/// Firmware in its memory, and everything that it is to run with.
struct Core {
    loaded: Loaded,
    console: Console,
    settings: Settings,
    files: SharedFiles,
}

enum Prepared {
    Core(Box<Core>),
    Infra(Infra),
}

/// The pid that containerd is told for a core: the shim's own. A core has none, and killing the shim does end the
/// emulated core, so the number is honest. Events are matched by container id.
pub fn pid() -> u32 {
    std::process::id()
}

impl Container {
    /// Its state now.
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// The process that stands for its core, while that runs.
    pub fn process(&self) -> Option<Process> {
        self.lock().process
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}
