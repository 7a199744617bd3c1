//! The two kinds of pedestals: those whose rings are ours, and those of a [`Manager`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::baremetal::{self, Link, StartError};
use super::managed::{Managed, Manager};
use super::{Control, MachineError, Process, mcs, micad, remoteproc};

/// Firmware that is ready to run.
pub enum Loaded {
    /// In the memory of a core that we drive.
    Rings(Box<baremetal::Loaded>),
    /// Known to whoever drives the core.
    Managed(Arc<dyn Manager>),
}

impl Loaded {
    /// Starts the core. Blocks for as long as the pedestal's own deadline, or until `give_up` says that it is not wanted.
    pub fn start(self, give_up: &dyn Fn() -> bool) -> Result<Attachment, StartError> {
        Ok(match self {
            Loaded::Rings(loaded) => Attachment::Rings(Box::new(loaded.start(give_up)?)),
            Loaded::Managed(manager) => Attachment::Managed(Managed::start(manager, give_up)?),
        })
    }

    /// How another process ends the core, if it does not end with this one.
    pub fn held(&self) -> Option<Held> {
        match self {
            Loaded::Rings(loaded) => loaded.held(),
            Loaded::Managed(manager) => Some(manager.held()),
        }
    }
}

/// A running core, and what there is of it to talk to.
pub enum Attachment {
    /// Rings that are ours.
    Rings(Box<Link>),
    /// A device for the console.
    Managed(Managed),
}

impl Attachment {
    /// The process that stands for the core.
    pub fn process(&self) -> Option<Process> {
        match self {
            Attachment::Rings(link) => link.machine.process(),
            Attachment::Managed(_) => None,
        }
    }

    /// What requests can do to it while it runs.
    pub fn control(&self) -> Option<Arc<dyn Control>> {
        match self {
            Attachment::Rings(link) => link.machine.control(),
            Attachment::Managed(managed) => managed.control(),
        }
    }
}

/// A core that outlives the shim: what is recorded of it, for whoever has to end it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// A core of `/dev/mcs`, and whose it is.
    Mcs {
        /// Its number in Linux.
        cpu: u32,
        /// The name it is claimed under.
        owner: String,
    },
    /// A core of Linux's remoteproc, and whose it is.
    Remoteproc {
        /// Its directory in sysfs.
        core: String,
        /// The name it is claimed under.
        owner: String,
    },
    /// An instance of micad.
    Micad {
        /// Its name.
        name: String,
        /// It is a Xen domain, of the same name.
        xen: bool,
    },
    /// A fake one: it runs as long as this file is there.
    #[cfg(any(test, feature = "fake-core"))]
    Fake(std::path::PathBuf),
}

impl Held {
    /// Ends the core, if it still runs. May block.
    pub fn end(&self) -> Result<(), MachineError> {
        match self {
            Held::Mcs { cpu, owner } => mcs::end(*cpu, owner),
            Held::Remoteproc { core, owner } => remoteproc::end(core, owner),
            Held::Micad { name, xen } => micad::end(name, *xen),
            #[cfg(any(test, feature = "fake-core"))]
            Held::Fake(path) => super::fake_manager::end(path),
        }
    }
}
