//! The bare-metal MICA contract on top of any [`Machine`]: where firmware, resource table and vrings go, how the
//! firmware is told of them, and what the state word says (MICA ABI, section 3).

use std::thread;
use std::time::{Duration, Instant};

use shmem::{Fault, Mapping, Memory, Window, barrier};

use super::{Held, Machine, MachineError};
use crate::sys::page_size;
use firmware::board::{BoardError, Region};
use firmware::elf::{Elf, ElfError};
use openamp::Violation;
use openamp::debug_ring::{self, Reader, Writer};
use openamp::placement::{NoRoom, Placement};
use openamp::resource_table::{DRIVER_OK, Layout};
use openamp::rpmsg::{EndpointId, Host, Name};
use openamp::state::{CPU_OFF, CPU_ON, REPORT_WORD, Report, STATE_WORD, State};

/// Firmware that is asked to begin anew with its rings has done so this soon. MICA's host waits for a fifth of that.
const RESET_DEADLINE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const RESET_LOOK: Duration = Duration::from_millis(1);

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
    /// Not for micad.
    #[error(transparent)]
    Micad(#[from] super::micad::SpecError),
    /// No such pedestal here.
    #[error("pedestal {0:?} is not supported, this build has: qemu, mcs, remoteproc, micad")]
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
pub struct Piece {
    pa: u64,
    mapping: Mapping,
    at: usize,
    len: usize,
}

impl Piece {
    fn map(machine: &dyn Machine, pa: u64, len: usize) -> Result<Piece, MachineError> {
        let page = page_size();
        let at = (pa % page) as usize;
        let whole = (at + len).next_multiple_of(page as usize);
        Ok(Piece { pa, mapping: machine.map(pa - at as u64, whole)?, at, len })
    }

    /// Its first address.
    pub fn pa(&self) -> u64 {
        self.pa
    }

    /// Its bytes.
    pub fn window(&self) -> Result<Window<'_>, Fault> {
        self.mapping.window().part(self.at, self.len)
    }
}

/// A host with its rings, and the debugger's rings if the firmware has any.
type Prepared = (Host, Option<(Reader, Writer)>);

/// Firmware in its memory, not running, or left running by somebody.
pub struct Loaded {
    machine: Box<dyn Machine>,
    entry: u64,
    layout: Layout,
    placement: Placement,
    window: Piece,
    table: Piece,
    bulk: Option<Piece>,
}

impl Loaded {
    /// Copies the segments of `elf`, which is `file`, to where they are linked; they must be the firmware's to have.
    /// Rings go into `window`, bulk data into `bulk`. Firmware that runs already is left as it is.
    pub(super) fn new(
        machine: Box<dyn Machine>,
        window: Region,
        bulk: Option<Region>,
        elf: &Elf,
        file: &[u8],
    ) -> Result<Loaded, LoadError> {
        for segment in elf.segments().iter().filter(|_| !machine.left_running()) {
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
        let bulk = bulk.map(|bulk| Piece::map(&*machine, bulk.base, bulk.len as usize)).transpose()?;
        Ok(Loaded { machine, entry: elf.entry(), layout, placement, window, table, bulk })
    }

    /// Starts the core and gives the running end of the link. Blocks for as long as the machine's own deadline, or until
    /// `give_up` says that it is not wanted any more.
    ///
    /// MICA starts the core first and sets up rings while it boots; nothing is lost by having them ready before, and
    /// a fast firmware then never sees half a table. The state word says `CPU_ON` before the core runs, so that a
    /// firmware that ends at once is not overwritten.
    pub fn start(mut self, give_up: &dyn Fn() -> bool) -> Result<Link, StartError> {
        let (host, debug_rings) =
            if self.machine.left_running() { self.take_over(give_up)? } else { self.boot(give_up)? };
        let Loaded { machine, window, table, layout, bulk, .. } = self;
        machine.kick();
        Ok(Link { machine, window, table, layout, host, debug_rings, bulk })
    }

    /// How another process ends the core, if it does not end with this one.
    pub fn held(&self) -> Option<Held> {
        self.machine.held()
    }

    fn boot(&mut self, give_up: &dyn Fn() -> bool) -> Result<Prepared, StartError> {
        let prepared = self.prepare()?;
        self.machine.boot(self.entry, give_up)?;
        Ok(prepared)
    }

    /// Has firmware that runs already begin anew with its rings (MICA's re-attach). Debug rings it has no word for.
    fn take_over(&mut self, give_up: &dyn Fn() -> bool) -> Result<Prepared, StartError> {
        self.machine.boot(self.entry, give_up)?;
        if !self.ask_for_reset().map_err(Violation::from)? {
            let whom = "the firmware that runs already, asked to begin anew with its rings";
            return Err(MachineError::Timeout { whom, millis: RESET_DEADLINE.as_millis() }.into());
        }
        Ok((self.reattach()?, None))
    }

    /// True if the firmware has forgotten its rings.
    fn ask_for_reset(&self) -> Result<bool, Fault> {
        let table = self.table.window()?;
        self.layout.write_status(&table, 0)?;
        State::Reset.write(&table)?;
        barrier::full();
        self.machine.kick();
        let begun = Instant::now();
        while State::read(&table)? != State::Quiet {
            if begun.elapsed() > RESET_DEADLINE {
                return Ok(false);
            }
            thread::sleep(RESET_LOOK);
        }
        Ok(true)
    }

    fn reattach(&self) -> Result<Host, Violation> {
        let table = self.table.window()?;
        let host = Host::reattach(&self.window.window()?, self.placement, &self.layout, &table)?;
        self.layout.write_status(&table, DRIVER_OK)?;
        State::On.write(&table)?;
        barrier::full();
        Ok(host)
    }

    fn prepare(&self) -> Result<Prepared, Violation> {
        let table = self.table.window()?;
        let host = Host::new(&self.window.window()?, self.placement)?;
        let debug_rings = self.prepare_debug_rings(&table)?;
        self.layout.write_vrings(&table, self.placement.ring_addresses())?;
        self.layout.write_status(&table, DRIVER_OK)?;
        table.store_u32(STATE_WORD, CPU_ON)?;
        barrier::full();
        Ok((host, debug_rings))
    }

    /// Rings that do not fit cost the debugger, not the container: stock MICA makes them only if it is told to debug.
    fn prepare_debug_rings(&self, table: &Window<'_>) -> Result<Option<(Reader, Writer)>, Fault> {
        let Some(len) = self.layout.debug_rings_len() else { return Ok(None) };
        let at = self.placement.end();
        match debug_ring::host(&self.window.window()?, at, len) {
            Ok(rings) => {
                self.layout.write_debug_rings(table, self.placement.da + at as u32)?;
                Ok(Some(rings))
            }
            Err(fault) => {
                log::warn!("no debugger: debug rings of {len:#x} bytes behind the buffers: {fault}");
                Ok(None)
            }
        }
    }
}

/// The running end: a core that executes, its table, its rings.
pub struct Link {
    /// The core itself.
    pub machine: Box<dyn Machine>,
    window: Piece,
    table: Piece,
    layout: Layout,
    host: Host,
    debug_rings: Option<(Reader, Writer)>,
    bulk: Option<Piece>,
}

impl Link {
    /// Does something with the rings, then kicks the firmware if it wants to know. Endpoints that came or went are written
    /// into the firmware's table, so that another host could go on with them.
    pub fn with_host<T, E: From<Violation>>(
        &mut self,
        action: impl FnOnce(&mut Host, &Window<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let window = self.window.window().map_err(Violation::from)?;
        let result = action(&mut self.host, &window)?;
        let table = self.table.window().map_err(Violation::from)?;
        self.host.record_endpoints(&self.layout, &table).map_err(Violation::from)?;
        if self.host.wants_kick(&window)? {
            self.machine.kick();
        }
        Ok(result)
    }

    /// The endpoints that are bound.
    pub fn endpoints(&self) -> impl Iterator<Item = (EndpointId, Name)> {
        self.host.endpoints().map(|(id, endpoint)| (id, endpoint.name))
    }

    /// The debugger's ends of the firmware's debug rings, once.
    pub fn take_debug_rings(&mut self) -> Option<(Reader, Writer)> {
        self.debug_rings.take()
    }

    /// The window for bulk transfer, once.
    pub fn take_bulk(&mut self) -> Option<Piece> {
        self.bulk.take()
    }

    /// The memory that rings and buffers lie in.
    pub fn memory(&self) -> Result<Window<'_>, Fault> {
        self.window.window()
    }

    /// Asks the firmware to stop for the debugger.
    pub fn interrupt_for_debugger(&self) -> Result<(), Fault> {
        self.layout.interrupt_for_debugger(&self.table.window()?)?;
        self.machine.kick();
        Ok(())
    }

    /// True if the firmware has taken back that the rings are ready, or asks for them to be made anew.
    pub fn reset_by_remote(&self) -> bool {
        self.table.window().and_then(|table| self.layout.reset_by_remote(&table)).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pedestal::fake::FakeCore;
    use firmware::board::Board;
    use firmware::test_elf::{TestElf, table_with_vendor_entries};
    use openamp::rpmsg::{Incoming, PAYLOAD_LEN};

    fn running(table: &[u8]) -> Link {
        let file = TestElf::new().resource_table(table).build();
        let board = Board::by_name("qemu-arm64").expect("built in");
        let (elf, window) = (Elf::parse(&file).expect("an elf file"), board.window(3).expect("a window"));
        let machine = FakeCore::new(window, None, &elf).expect("a fake core");
        let loaded = Loaded::new(Box::new(machine), window, None, &elf, &file).expect("loaded");
        loaded.start(&|| false).expect("started")
    }

    #[test]
    fn endpoints_are_kept_for_the_next_host() {
        let mut link = running(&table_with_vendor_entries());
        let entry = |link: &Link| {
            let mut name = [0; 10];
            let table = link.table.window().expect("mapped");
            table.copy_out(0x1c + 8, &mut name).expect("inside");
            (table.load_u32(0x1c + 4).expect("inside"), name)
        };
        let bound = link.with_host(|host, memory| {
            let Ok(Some(Incoming::Announced { name, addr })) = host.receive(memory, &mut [0; PAYLOAD_LEN])
            else {
                panic!("no announcement")
            };
            Ok::<_, Violation>(host.bind(name, addr).expect("room"))
        });
        assert_eq!(entry(&link), (1, *b"rpmsg-tty\0"));
        let withdrawn = |host: &mut Host, memory: &Window<'_>| {
            host.withdraw(memory, bound.expect("bound")).expect("room");
            Ok::<_, Violation>(())
        };
        link.with_host(withdrawn).expect("withdrawn");
        assert_eq!(entry(&link), (0, [0; 10]));
    }

    #[test]
    fn firmware_that_takes_its_rings_back_is_noticed() {
        let link = running(&table_with_vendor_entries());
        assert!(!link.reset_by_remote());
        let table = link.table.window().expect("mapped");
        link.layout.write_status(&table, 0).expect("inside");
        assert!(link.reset_by_remote());
    }

    #[test]
    fn debug_rings_that_do_not_fit_cost_the_debugger_alone() {
        let mut table = table_with_vendor_entries();
        table[0xa24 + 24..][..4].copy_from_slice(&0x20000u32.to_le_bytes());
        assert!(running(&table).take_debug_rings().is_none());
        assert!(running(&table_with_vendor_entries()).take_debug_rings().is_some());
    }
}
