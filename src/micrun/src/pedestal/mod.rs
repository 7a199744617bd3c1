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
mod error;
#[cfg(any(test, feature = "fake-core"))]
mod fake;
#[cfg(any(test, feature = "fake-core"))]
pub(crate) mod fake_manager;
pub mod group;
pub mod managed;
pub mod mcs;
pub mod micad;
pub mod nursery;
pub mod qemu;
mod ram;
pub mod remoteproc;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use shmem::Mapping;

use crate::resources::CoreLimits;
pub use attachment::{Attachment, Held, Loaded};
use baremetal::LoadError;
pub use error::MachineError;
use firmware::board::{Board, Region};
use firmware::elf::Elf;
use group::Group;
pub use managed::{Managed, Manager};
use nursery::Nursery;

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
    /// `qemu`, `mcs`, `remoteproc` or `micad`.
    pub pedestal: String,
    /// The board by its name, for pedestals that emulate it; the others find the machine's own memory.
    pub board: Option<String>,
    /// The core, by its number on the board; the board's own choice if absent.
    pub cpu: Option<u32>,
    /// The remote processor in Linux, by name or number; the only one if absent.
    pub remoteproc: Option<String>,
    /// Whose container it is for, as namespace and id: what other containers are told that want the same core.
    pub owner: String,
    /// The control group of the process that plays the core.
    pub group: Option<Arc<Group>>,
}

/// Prepares the wanted pedestal and loads `file` into it. Nothing runs yet.
pub fn load(wanted: &Wanted, file: &[u8], nursery: &Nursery) -> Result<Loaded, LoadError> {
    let loaded = match wanted.pedestal.as_str() {
        "mcs" => mcs::load(wanted, file)?,
        "remoteproc" => {
            let name = wanted.remoteproc.as_deref();
            return Ok(Loaded::Managed(Arc::new(remoteproc::load(name, &wanted.owner, file)?)));
        }
        "qemu" => load_emulated(wanted, file, |board, cpu, _, _| {
            let machine = board.machine.ok_or_else(|| MachineError::NotEmulated(board.name.clone()))?;
            Ok(Box::new(qemu::Qemu::new(machine, cpu, nursery.clone(), wanted.group.clone())?))
        })?,
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
