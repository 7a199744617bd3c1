//! How a core is driven.
//!
//! [`Machine`] is the narrow place where hardware differs: start, kick and query one core, and map its memory. The
//! bare-metal MICA contract on top of it ([`baremetal`]) is the same everywhere, so that one ELF boots under QEMU and
//! on a board. A [`Manager`] drives a core for us and keeps the rings to itself. [`Loaded`] and [`Attachment`] are
//! where the two kinds meet.

mod attachment;
pub mod baremetal;
pub mod claim;
pub mod cpus;
#[cfg(any(test, feature = "fake-core"))]
mod fake;
#[cfg(any(test, feature = "fake-core"))]
mod fake_manager;
pub mod managed;
pub mod mcs;
pub mod micad;
pub mod nursery;
pub mod qemu;
mod ram;
pub mod remoteproc;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use shmem::Mapping;

use crate::resources::CoreLimits;
pub use attachment::{Attachment, Held, Loaded};
use baremetal::LoadError;
use claim::ClaimError;
use cpus::PinError;
use firmware::board::{Board, Region, WINDOW_LEN};
use firmware::elf::Elf;
pub use managed::{Managed, Manager};
use nursery::Nursery;
use remoteproc::RemoteprocError;

/// Whether a core executes, as PSCI `AFFINITY_INFO` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Executing.
    On,
    /// Powered off.
    Off,
    /// On its way on.
    Pending,
}

/// A process that stands for the core, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot (`/proc/PID/stat`, field 22): tells it from a later one of that pid.
    pub start_time: u64,
}

/// How a machine ended without being told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The firmware switched the whole machine off.
    PoweredOff,
    /// The firmware reset the whole machine.
    Reset,
    /// The machine failed with an exit code of its own.
    Failed(i32),
    /// A signal ended it.
    Signal(i32),
    /// The firmware ended with an exit status, as whoever drives the core says.
    Exited(u8),
    /// The firmware crashed, as whoever drives the core says.
    Crashed,
    /// It is gone, nobody knows how.
    Lost,
}

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
    /// The kernel refused to start the core. It does not say why.
    #[error("core {cpu} was not started: {source}; the kernel's log has the code of psci")]
    CpuOn {
        /// The core.
        cpu: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has the core.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Something runs on the core that nobody here knows.
    #[error(
        "core {cpu} runs something that is neither linux nor started by micrun: end it where it was started, \
         or reset the board"
    )]
    Foreign {
        /// The core.
        cpu: u32,
    },
    /// Firmware runs on the core that its container could not end.
    #[error(
        "core {cpu} still runs the firmware of {owner}, which did not power itself off: start the same firmware, \
         which then goes on, or reset the board"
    )]
    Lost {
        /// The core.
        cpu: u32,
        /// Whose firmware it was.
        owner: String,
    },
    /// The firmware does not let go of its core.
    #[error(
        "the firmware on core {cpu} does not power itself off: the core is lost until the board is reset or the \
         same firmware is started again"
    )]
    StaysOn {
        /// The core.
        cpu: u32,
    },
    /// The core's part of the shared memory does not exist.
    #[error(
        "core {cpu} cannot be had: it needs {WINDOW_LEN:#x} bytes of shared memory at {cpu} times that, and \
         /dev/mcs has {memory}; core 0 is linux's"
    )]
    NoWindow {
        /// The core.
        cpu: u32,
        /// The shared memory.
        memory: Region,
    },
    /// A segment lies where cores and Linux speak.
    #[error("segment {segment} overlaps the shared memory of the cores ({memory})")]
    Overlaps {
        /// The segment's memory.
        segment: Region,
        /// The shared memory.
        memory: Region,
    },
    /// Memory that the firmware wants is not for firmware.
    #[error(
        "memory {memory} is not in a region that /dev/mcs has: memory-region in the device tree's node \
         oe,mcs_remoteproc, or rmem_base and rmem_size of mcs_km"
    )]
    NotGiven {
        /// What was to be mapped.
        memory: Region,
    },
    /// This pedestal cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The host CPUs cannot be had.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Linux's remoteproc does not do it.
    #[error(transparent)]
    Remoteproc(Box<RemoteprocError>),
    /// micad does not do it.
    #[error(transparent)]
    Micad(#[from] micad::MicadError),
    /// What is to be sent to micad does not fit.
    #[error(transparent)]
    Field(#[from] micad::FieldError),
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

/// One core and the memory it shares with us. Only [`Machine::boot`] may block, up to its own deadline.
pub trait Machine: Send {
    /// Maps `len` bytes of physical memory at `pa`, both multiples of the page size.
    fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError>;
    /// True if memory that nobody has written yet reads as zero.
    fn zeroed(&self) -> bool;
    /// True if the core runs the very firmware already: it was left running by who could not end it. It is to be taken
    /// over, not loaded, and [`Machine::boot`] does not start it.
    fn left_running(&self) -> bool {
        false
    }
    /// Starts the core at `entry` (PSCI `CPU_ON`). Asks `give_up` now and then whether it is still wanted.
    fn boot(&mut self, entry: u64, give_up: &dyn Fn() -> bool) -> Result<(), MachineError>;
    /// Interrupts the firmware.
    fn kick(&self);
    /// Readable when the firmware may have something for us, or [`Machine::affinity`] an answer.
    fn doorbell(&self) -> BorrowedFd<'_>;
    /// The doorbell rang.
    fn rang(&self) {}
    /// True if rings may be missed, so that it is to be looked now and then whether the firmware has something for us.
    fn misses_rings(&self) -> bool {
        false
    }
    /// Makes the doorbell unreadable until it rings again.
    fn silence(&self);
    /// Asks whether the core is on; the answer comes by the doorbell. One question at a time is enough.
    fn ask_affinity(&mut self);
    /// The answer to the last question, if it is here.
    fn affinity(&self) -> Option<Affinity>;
    /// Readable when the machine has ended, told to or not; `None` if it cannot end, or does not run.
    fn end(&self) -> Option<BorrowedFd<'_>>;
    /// Readable when the machine has something to say that [`Machine::death`] takes note of.
    fn news(&self) -> Option<BorrowedFd<'_>>;
    /// How it ended; `None` while it has not.
    fn death(&mut self) -> Option<Death>;
    /// Ends the core at once, whatever it does. [`Machine::end`] becomes readable.
    fn cut_power(&mut self);
    /// The process that stands for the core.
    fn process(&self) -> Option<Process>;
    /// What requests can do to it while it runs; `None` if it does not.
    fn control(&self) -> Option<Arc<dyn Control>>;
    /// How another process ends the core, if it does not end with this one. Known before it starts.
    fn held(&self) -> Option<Held> {
        None
    }
}

/// What a request does to a running machine, on the request's own thread and beside whoever owns the [`Machine`]. May
/// block, up to a deadline of its own.
pub trait Control: Send + Sync {
    /// Halts the core where it is.
    fn pause(&self) -> Result<(), MachineError>;
    /// Lets it go on.
    fn resume(&self) -> Result<(), MachineError>;
    /// Gives it what of `limits` it can have; told of those it was started with as well. What it cannot have never
    /// comes here: see [`Driver`](crate::resources::Driver).
    fn limit(&self, limits: &CoreLimits) -> Result<(), MachineError>;
    /// Bytes of RAM that the firmware can use at most.
    fn memory(&self) -> u64;
}

/// The board that is emulated where nobody asks for another.
const EMULATED_BOARD: &str = "qemu-arm64";

/// Which pedestal a container wants and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `qemu`, `mcs`, `remoteproc`, later also `micad`.
    pub pedestal: String,
    /// The board by its name, for pedestals that emulate it; the others find the machine's own memory.
    pub board: Option<String>,
    /// The core, by its number on the board; the board's own choice if absent.
    pub cpu: Option<u32>,
    /// The remote processor in Linux, by name or number; the only one if absent.
    pub remoteproc: Option<String>,
    /// Whose container it is for, as namespace and id: what other containers are told that want the same core.
    pub owner: String,
}

/// Prepares the wanted pedestal and loads `file` into it. Nothing runs yet.
pub fn load(wanted: &Wanted, file: &[u8], nursery: &Nursery) -> Result<Loaded, LoadError> {
    let loaded = match wanted.pedestal.as_str() {
        "mcs" => mcs::load(wanted, file)?,
        "remoteproc" => {
            let name = wanted.remoteproc.as_deref();
            return Ok(Loaded::Managed(Arc::new(remoteproc::load(name, &wanted.owner, file)?)));
        }
        "qemu" => {
            load_emulated(wanted, file, |_, cpu, _, _| Ok(Box::new(qemu::Qemu::new(cpu, nursery.clone())?)))?
        }
        #[cfg(any(test, feature = "fake-core"))]
        "fake" => load_emulated(wanted, file, |board, cpu, window, elf| {
            Ok(Box::new(fake::FakeCore::new(window, board.bulk_window(cpu), elf)?))
        })?,
        #[cfg(any(test, feature = "fake-core"))]
        "fake-manager" => return Ok(Loaded::Managed(Arc::new(fake_manager::FakeManager::new()))),
        other => return Err(LoadError::Pedestal(other.to_owned())),
    };
    Ok(Loaded::Rings(Box::new(loaded)))
}

/// The same for a board that is emulated. What does not fit it is refused before anything is made.
fn load_emulated(
    wanted: &Wanted,
    file: &[u8],
    machine: impl FnOnce(&Board, u32, Region, &Elf) -> Result<Box<dyn Machine>, MachineError>,
) -> Result<baremetal::Loaded, LoadError> {
    let board = emulated_board(wanted.board.as_deref())?;
    let cpu = wanted.cpu.unwrap_or_else(|| board.default_cpu());
    let window = board.window(cpu)?;
    let elf = Elf::parse(file)?;
    board.fits(&elf)?;
    baremetal::Loaded::new(machine(&board, cpu, window, &elf)?, window, board.bulk_window(cpu), &elf, file)
}

/// The board whose machine is emulated for the wanted one.
fn emulated_board(name: Option<&str>) -> Result<Board, LoadError> {
    let root = Path::new("/");
    let board = Board::installed(root, name.unwrap_or(EMULATED_BOARD))?;
    board.emulated_by.as_deref().map_or(Ok(board.clone()), |name| Ok(Board::installed(root, name)?))
}
