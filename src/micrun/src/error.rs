//! What a request can fail with. The outer protocol's code is chosen in `service::status`, by [`Error::kind`] alone.

use crate::bundle::BundleError;
use crate::config::ConfigError;
use crate::console::StreamError;
use crate::container::State;
use crate::namespaces::NamespaceError;
use crate::pedestal::MachineError;
use crate::pedestal::baremetal::{LoadError, StartError};
use crate::pedestal::claim::ClaimError;
use crate::pedestal::micad::MicadError;
use crate::resources::{Driver, OciError, PlanError};
use crate::rootfs::RootfsError;
use crate::sandbox::PodState;
use crate::store::StoreError;
use firmware::integrity::IntegrityError;

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such container here.
    #[error("container {0:?} does not exist")]
    NotFound(String),
    /// The server has been told to end.
    #[error("this shim is ending, a new one has to be started")]
    Closed,
    /// The caller has stopped waiting for it.
    #[error("container {0:?} was not made within the time that the caller waits")]
    Late(String),
    /// The id is taken.
    #[error("container {0:?} exists already")]
    AlreadyExists(String),
    /// The id is not one that containerd would make.
    #[error(
        "container id {0:?} is not valid: 1 to 76 letters, digits, '-', '_' and '.', a letter or digit first"
    )]
    BadId(String),
    /// The process has ended, so there is nothing to signal.
    #[error("container {0:?} has ended")]
    Ended(String),
    /// Not in this state.
    #[error("container {id:?} is {state}, {action} needs it to be {needed}")]
    State {
        /// The container.
        id: String,
        /// What was asked for.
        action: &'static str,
        /// Its state.
        state: State,
        /// The states in which it can be done.
        needed: &'static str,
    },
    /// The pod is not in this state.
    #[error("sandbox {id:?} is {state}, {action} needs it to be {needed}")]
    PodState {
        /// The pod.
        id: String,
        /// What was asked for.
        action: &'static str,
        /// Its state.
        state: PodState,
        /// The state in which it can be done.
        needed: &'static str,
    },
    /// A signal that means nothing to an RTOS.
    #[error("signal {0} means nothing to an rtos: use 15 (orderly power-off) or 9 (power is cut)")]
    Signal(u32),
    /// Not offered at all.
    #[error("{0}")]
    Unsupported(&'static str),
    /// These resources stay as they are.
    #[error("{fields} cannot be changed for {driver}")]
    Fixed {
        /// What the container runs on.
        driver: Driver,
        /// Their names.
        fields: String,
    },
    /// Not resources.
    #[error(transparent)]
    Resources(#[from] OciError),
    /// Resources that cannot be had.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Resources of a kind that we do not know.
    #[error("resources are of type {found:?}, they must be {needed}")]
    ResourcesType {
        /// Their type.
        found: String,
        /// The type that we know.
        needed: &'static str,
    },
    /// The running machine does not do it.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The bundle is not usable.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The root file system cannot be mounted or holds no firmware.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// Something is set to what cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The standard streams cannot be opened.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The firmware is not the one that was packed.
    #[error("firmware {path:?}: {source}")]
    Firmware {
        /// Its path in the image.
        path: String,
        /// Why.
        source: IntegrityError,
    },
    /// The firmware cannot be put on a core.
    #[error("firmware {path:?}: {source}")]
    Load {
        /// Its path in the image.
        path: String,
        /// Why.
        source: LoadError,
    },
    /// The firmware does not start.
    #[error("firmware does not start: {0}")]
    Start(#[from] StartError),
    /// The pod's namespaces cannot be had.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A system call failed.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The state record cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Classes of errors, as containerd tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// There is such a thing already.
    AlreadyExists,
    /// Not in this state.
    FailedPrecondition,
    /// The caller, or the image, is wrong.
    InvalidArgument,
    /// This shim does not do that.
    Unimplemented,
    /// The system does not let us, now.
    Unavailable,
}

impl Error {
    /// The class.
    pub fn kind(&self) -> Kind {
        match self {
            Error::NotFound(_) | Error::Ended(_) => Kind::NotFound,
            Error::AlreadyExists(_) => Kind::AlreadyExists,
            Error::State { .. } | Error::PodState { .. } => Kind::FailedPrecondition,
            Error::BadId(_)
            | Error::Signal(_)
            | Error::Bundle(_)
            | Error::Config(_)
            | Error::Firmware { .. }
            | Error::Resources(_)
            | Error::Plan(_)
            | Error::ResourcesType { .. } => Kind::InvalidArgument,
            Error::Unsupported(_) | Error::Fixed { .. } => Kind::Unimplemented,
            Error::Stream(error) if error.is_unknown() => Kind::Unimplemented,
            Error::Stream(error) if error.is_the_callers() => Kind::InvalidArgument,
            Error::Rootfs(error) if error.is_the_images() => Kind::InvalidArgument,
            Error::Machine(error) | Error::Load { source: LoadError::Machine(error), .. } => machine(error),
            Error::Load { .. } => Kind::InvalidArgument,
            Error::Start(StartError::Machine(error)) => machine(error),
            Error::Namespace(NamespaceError::User) => Kind::Unimplemented,
            Error::Namespace(error) if error.is_the_callers() => Kind::InvalidArgument,
            Error::Namespace(_) | Error::System { .. } => Kind::Unavailable,
            Error::Closed
            | Error::Late(_)
            | Error::Rootfs(_)
            | Error::Stream(_)
            | Error::Start(_)
            | Error::Store(_) => Kind::Unavailable,
        }
    }
}

fn machine(error: &MachineError) -> Kind {
    match error {
        MachineError::Refused { .. } | MachineError::Claim(ClaimError::Taken { .. }) => {
            Kind::FailedPrecondition
        }
        MachineError::Mcs(error) if error.is_the_callers() => Kind::InvalidArgument,
        MachineError::Mcs(_) => Kind::FailedPrecondition,
        MachineError::NotEmulated(_) => Kind::InvalidArgument,
        MachineError::Micad(MicadError::Foreign(_) | MicadError::Refused { .. }) => Kind::FailedPrecondition,
        MachineError::Micad(MicadError::Long { .. }) | MachineError::Field(_) => Kind::InvalidArgument,
        MachineError::Remoteproc(error) if error.is_in_use() => Kind::FailedPrecondition,
        MachineError::Remoteproc(error) if error.is_the_callers() => Kind::InvalidArgument,
        MachineError::Unsupported(_) => Kind::Unimplemented,
        MachineError::Pin(error) if error.is_the_callers() => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    }
}
