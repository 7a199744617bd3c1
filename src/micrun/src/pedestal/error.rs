//! Why a core cannot be driven.

use std::io;

use super::claim::ClaimError;
use super::cpus::PinError;
use super::group::GroupError;
use super::mcs::McsError;
use super::micad::{FieldError, MicadError};
use super::remoteproc::RemoteprocError;

/// Why a machine does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The emulator cannot be run.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The emulator ended before the core was up.
    #[error("{program} ended before the core was up: {message}")]
    Ended {
        /// The program.
        program: String,
        /// The last line it printed, or its exit status.
        message: String,
    },
    /// Not wanted any more.
    #[error("killed while it was being started")]
    GivenUp,
    /// No answer in time.
    #[error("no answer from {whom} within {millis} ms")]
    Timeout {
        /// Whom.
        whom: &'static str,
        /// How long was waited.
        millis: u128,
    },
    /// PSCI refused (ARM DEN 0022: -2 invalid parameters, -3 denied, -4 already on, -9 invalid address).
    #[error("core {cpu} was not started: PSCI CPU_ON answered {code}")]
    Refused {
        /// The core.
        cpu: u32,
        /// The PSCI result.
        code: i32,
    },
    /// Somebody else has the core.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// QEMU has no machine like the board.
    #[error(
        "board {0} cannot be emulated: QEMU has no machine for it; pedestal qemu is for firmware of other boards"
    )]
    NotEmulated(String),
    /// This pedestal cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The host CPUs cannot be had.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The limits cannot be had.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// `/dev/mcs` does not do it, or the core is not for this firmware.
    #[error(transparent)]
    Mcs(#[from] McsError),
    /// Linux's remoteproc does not do it.
    #[error(transparent)]
    Remoteproc(Box<RemoteprocError>),
    /// micad does not do it.
    #[error(transparent)]
    Micad(#[from] MicadError),
    /// What is to be sent to micad does not fit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The console cannot be had.
    #[error("console {path}: {source}")]
    Terminal {
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The agent does not run on this machine.
    #[error("the agent on core 0 gave up at step {0}")]
    Agent(u32),
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl From<RemoteprocError> for MachineError {
    fn from(error: RemoteprocError) -> MachineError {
        MachineError::Remoteproc(Box::new(error))
    }
}

impl MachineError {
    /// For `map_err`: says what was tried.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> MachineError {
        move |source| MachineError::System { what, source: source.into() }
    }
}
