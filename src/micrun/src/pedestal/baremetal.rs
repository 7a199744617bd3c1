//! The bare-metal MICA contract on top of any [`Machine`]: where firmware, resource table and vrings go, how the
//! firmware is told of them, and what the state word says (MICA ABI, section 3).

use shmem::{Fault, Mapping, Memory, Window, barrier};

use super::{Machine, MachineError};
use crate::sys::page_size;
use firmware::board::{Board, BoardError};
use firmware::elf::{Elf, ElfError};
use openamp::Violation;
use openamp::placement::{NoRoom, Placement};
use openamp::resource_table::{DRIVER_OK, Layout};
use openamp::rpmsg::Host;
use openamp::state::{CPU_OFF, CPU_ON, REPORT_WORD, Report, STATE_WORD};

/// Why firmware cannot be put on a core.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a firmware file.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Not for this board or core.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The rings that the resource table asks for do not fit the core's window.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No such pedestal here.
    #[error("pedestal {0:?} is not supported, this build has: qemu")]
    Pedestal(String),
    /// The machine cannot be prepared.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Memory that was just mapped does not cover what was checked before: a mistake of ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why loaded firmware does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine does not start the core.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The rings cannot be set up.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// A piece of physical memory that begins anywhere, mapped by whole pages.
#[derive(Debug)]
struct Piece {
    mapping: Mapping,
    at: usize,
    len: usize,
}

impl Piece {
    fn map(machine: &dyn Machine, pa: u64, len: usize) -> Result<Piece, MachineError> {
        let page = page_size();
        let at = (pa % page) as usize;
        let whole = (at + len).next_multiple_of(page as usize);
        Ok(Piece { mapping: machine.map(pa - at as u64, whole)?, at, len })
    }

    fn window(&self) -> Result<Window<'_>, Fault> {
        self.mapping.window().part(self.at, self.len)
    }
}

/// Firmware in its memory, not running.
pub struct Loaded {
    machine: Box<dyn Machine>,
    entry: u64,
    layout: Layout,
    placement: Placement,
    window: Piece,
    table: Piece,
}

impl Loaded {
    /// Checks `file` against `board` and copies its segments to where they are linked.
    pub(super) fn new(
        machine: Box<dyn Machine>,
        board: &Board,
        cpu: u32,
        file: &[u8],
    ) -> Result<Loaded, LoadError> {
        let elf = Elf::parse(file)?;
        board.fits(&elf)?;
        let window = board.window(cpu)?;
        for segment in elf.segments() {
            let bytes = file.get(segment.file.clone()).unwrap_or_default();
            let piece = Piece::map(&*machine, segment.addr, segment.mem_len as usize)?;
            let memory = piece.window()?;
            memory.copy_in(0, bytes)?;
            if !machine.zeroed() {
                memory.zero(bytes.len(), memory.size() - bytes.len())?;
            }
        }
        let layout = *elf.table_layout();
        // The board keeps shared memory below 4 GiB, as MICA's 32-bit addresses need.
        let placement = Placement::new(&layout, window.base as u32, window.len as usize)?;
        let window = Piece::map(&*machine, window.base, window.len as usize)?;
        let table = Piece::map(&*machine, elf.resource_table().addr, layout.len())?;
        Ok(Loaded { machine, entry: elf.entry(), layout, placement, window, table })
    }

    /// Starts the core and gives the running end of the link. Blocks for as long as the machine's own deadline, or until
    /// `give_up` says that it is not wanted any more.
    ///
    /// MICA starts the core first and sets up rings while it boots; nothing is lost by having them ready before, and
    /// a fast firmware then never sees half a table. The state word says `CPU_ON` before the core runs, so that a
    /// firmware that ends at once is not overwritten.
    pub fn start(mut self, give_up: &dyn Fn() -> bool) -> Result<Link, StartError> {
        let host = self.prepare()?;
        self.machine.boot(self.entry, give_up)?;
        let Loaded { machine, window, table, .. } = self;
        machine.kick();
        Ok(Link { machine, window, table, host })
    }

    fn prepare(&self) -> Result<Host, Violation> {
        let table = self.table.window()?;
        let host = Host::new(&self.window.window()?, self.placement)?;
        self.layout.write_vrings(&table, self.placement.ring_addresses())?;
        self.layout.write_status(&table, DRIVER_OK)?;
        table.store_u32(STATE_WORD, CPU_ON)?;
        barrier::full();
        Ok(host)
    }
}

/// The running end: a core that executes, its table, its rings.
pub struct Link {
    /// The core itself.
    pub machine: Box<dyn Machine>,
    window: Piece,
    table: Piece,
    host: Host,
}

impl Link {
    /// Does something with the rings, then kicks the firmware if it wants to know.
    pub fn with_host<T, E: From<Violation>>(
        &mut self,
        action: impl FnOnce(&mut Host, &Window<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let window = self.window.window().map_err(Violation::from)?;
        let result = action(&mut self.host, &window)?;
        if self.host.wants_kick(&window)? {
            self.machine.kick();
        }
        Ok(result)
    }

    /// True if the state word says that the core is to be, or is being, powered off.
    pub fn powering_off(&self) -> bool {
        self.read(STATE_WORD) == Some(CPU_OFF)
    }

    /// What the firmware says of its end.
    pub fn report(&self) -> Option<Report> {
        Report::decode(self.read(REPORT_WORD)?)
    }

    /// Asks the firmware to power itself off.
    pub fn request_power_off(&self) -> Result<(), Fault> {
        self.table.window()?.store_u32(STATE_WORD, CPU_OFF)?;
        barrier::full();
        self.machine.kick();
        Ok(())
    }

    fn read(&self, at: usize) -> Option<u32> {
        self.table.window().ok()?.load_u32(at).ok()
    }
}
