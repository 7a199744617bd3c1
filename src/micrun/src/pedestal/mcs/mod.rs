//! The `mcs` pedestal: one of Linux's own cores, through `/dev/mcs` of MICA's kernel module.
//!
//! The core is taken offline, runs the firmware, and goes back online when that has powered it off. Nobody else can:
//! there is no way to cut the power of a core. One whose firmware does not obey stays claimed until the board is reset,
//! or until the same firmware is started again, which then goes on ([`Machine::left_running`]).

mod bell;
mod core;
mod cpu;
mod device;
mod error;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use shmem::Mapping;

use super::baremetal::{self, LoadError};
use super::claim::{self, Claim};
use super::{Affinity, Control, Death, Held, Machine, MachineError, Process, Wanted};
use crate::sys;
use bell::Bell;
use core::Core;
pub(super) use core::name;
pub(super) use device::Device;
pub use error::McsError;
use firmware::board::{BULK_LEN, Region, WINDOW_LEN};
use firmware::checksum;
use firmware::elf::Elf;

/// Cores that may have a window at all: more do not fit the shared memory of any board, and where that is also the
/// firmware's memory, this is where the windows end.
const MOST_WINDOWS: u64 = 8;
/// Where MICA's window for bulk data begins in the shared memory.
const BULK_AT: u64 = 0xd0_0000;

/// A claimed core and its memory.
struct Mcs {
    device: Arc<Device>,
    bell: Bell,
    cpu: u32,
    owner: String,
    table: u64,
    firmware: String,
    left_running: bool,
    /// Until the core is being ended.
    core: Option<Core>,
    /// The core has been ended, or cannot be.
    ended: Arc<AtomicBool>,
    end: Arc<EventFd>,
}

impl Mcs {
    /// Claims core `cpu` for `owner`, to run the firmware with the digest `firmware` and its table at `table`.
    fn new(device: Device, cpu: u32, owner: &str, table: u64, firmware: String) -> Result<Mcs, MachineError> {
        let device = Arc::new(device);
        let core = Core::new(device.clone(), cpu, Claim::take(&core::name(cpu), owner)?);
        let left_running = core.admits(table, &firmware)?;
        let bell = Bell::new(Path::new(claim::DIR)).map_err(MachineError::system("the bell of /dev/mcs"))?;
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        Ok(Mcs {
            device,
            bell,
            cpu,
            owner: owner.to_owned(),
            table,
            firmware,
            left_running,
            core: Some(core),
            ended: Arc::default(),
            end: Arc::new(end.map_err(MachineError::system("eventfd"))?),
        })
    }
}

/// Claims the core and loads `file` into its memory, unless it runs there already.
pub(super) fn load(wanted: &Wanted, file: &[u8]) -> Result<baremetal::Loaded, LoadError> {
    let elf = Elf::parse(file)?;
    let cpu =
        wanted.cpu.map_or_else(cpu::last, Ok).map_err(MachineError::system("asking linux for its cores"))?;
    let device = Device::open()?;
    let shared = device.communication()?;
    let window = window(cpu, shared).map_err(MachineError::from)?;
    let windows = Region { base: shared.base, len: shared.len.min(MOST_WINDOWS * WINDOW_LEN) };
    for segment in elf.segments() {
        let segment = Region { base: segment.addr, len: segment.mem_len };
        if windows.overlaps(segment) {
            return Err(MachineError::from(McsError::Overlaps { segment, memory: windows }).into());
        }
    }
    let machine = Mcs::new(device, cpu, &wanted.owner, elf.resource_table().addr, checksum::sha256(file))?;
    let bulk = bulk_window(shared).filter(|bulk| {
        let last = cpu::last().is_ok_and(|last| last == cpu);
        // Where there is one region for everything the firmware may be linked to lie there.
        last && elf
            .segments()
            .iter()
            .all(|part| !bulk.overlaps(Region { base: part.addr, len: part.mem_len }))
    });
    baremetal::Loaded::new(Box::new(machine), window, bulk, &elf, file)
}

/// MICA's rule for bulk data: 13 MiB behind the beginning of the shared memory, if that is so large. There is one for the
/// whole board: the last core's, where firmware runs unless told otherwise.
fn bulk_window(shared: Region) -> Option<Region> {
    let base = shared.base.checked_add(BULK_AT)?;
    Some(Region { base, len: BULK_LEN }).filter(|bulk| shared.contains(*bulk))
}

/// MICA's rule: the core's number times the length of a window, from the beginning of the shared memory on.
fn window(cpu: u32, shared: Region) -> Result<Region, McsError> {
    let base = shared.base.saturating_add(u64::from(cpu) * WINDOW_LEN);
    let window = Region { base, len: WINDOW_LEN };
    // Addresses in rings have 32 bits.
    let below = Region { base: 0, len: 1 << 32 };
    if cpu > 0 && shared.contains(window) && below.contains(window) {
        Ok(window)
    } else {
        Err(McsError::NoWindow { cpu, memory: shared })
    }
}

/// Ends what `owner` has left on the core `cpu`, if it is still his.
pub(super) fn end(cpu: u32, owner: &str) -> Result<(), MachineError> {
    match Claim::take_left(&core::name(cpu), owner)? {
        Some(claim) => Core::new(Arc::new(Device::open()?), cpu, claim).end(),
        None => Ok(()),
    }
}

impl Machine for Mcs {
    fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError> {
        self.device.map(pa, len)
    }

    fn zeroed(&self) -> bool {
        false
    }

    fn left_running(&self) -> bool {
        self.left_running
    }

    fn boot(&mut self, entry: u64, give_up: &dyn Fn() -> bool) -> Result<(), MachineError> {
        // A core that was ended has no machine any more.
        let Some(core) = &mut self.core else { return Err(MachineError::GivenUp) };
        core.take(self.table, &self.firmware)?;
        if give_up() {
            return Err(MachineError::GivenUp);
        }
        if self.left_running { Ok(()) } else { core.start(entry) }
    }

    fn kick(&self) {
        self.device.kick(self.cpu);
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.device.pollable()
    }

    fn rang(&self) {
        self.bell.pass_on();
    }

    fn misses_rings(&self) -> bool {
        true
    }

    fn silence(&self) {
        self.bell.silence();
    }

    fn ask_affinity(&mut self) {}

    fn affinity(&self) -> Option<Affinity> {
        match self.device.is_off(self.cpu) {
            Ok(off) => Some(if off { Affinity::Off } else { Affinity::On }),
            Err(error) => {
                log::error!("{error}");
                None
            }
        }
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        Some(self.end.as_fd())
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.pollable())
    }

    fn death(&mut self) -> Option<Death> {
        self.ended.load(Ordering::Acquire).then_some(Death::PoweredOff)
    }

    /// Waiting for the core, and Linux's taking it back, are not for the reactor.
    fn cut_power(&mut self) {
        let Some(core) = self.core.take() else { return };
        let (ended, end) = (self.ended.clone(), self.end.clone());
        let finish = move || {
            say_if_lost(core.end());
            ended.store(true, Ordering::Release);
            // Fails only when 2^64 rings are pending.
            let _ = end.write(1);
        };
        if let Err(error) = sys::spawn("mcs", finish) {
            log::error!("core {}: {error}; it stays claimed", self.cpu);
            self.ended.store(true, Ordering::Release);
            let _ = self.end.write(1);
        }
    }

    fn process(&self) -> Option<Process> {
        None
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        None
    }

    fn held(&self) -> Option<Held> {
        Some(Held::Mcs { cpu: self.cpu, owner: self.owner.clone() })
    }
}

impl Drop for Mcs {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            say_if_lost(core.end());
        }
    }
}

/// The container ends all the same: one that cannot be deleted helps nobody.
fn say_if_lost(ended: Result<(), MachineError>) {
    if let Err(error) = ended {
        log::error!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_window_lies_inside_the_shared_memory() {
        let bulk = |base, len| bulk_window(Region { base, len });
        let all = BULK_AT + BULK_LEN;
        assert_eq!(bulk(0x7000_0000, all), Some(Region { base: 0x70d0_0000, len: BULK_LEN }));
        assert_eq!(bulk(0x7000_0000, all - 1), None);
        assert_eq!(bulk(0x7000_0000, 0x10_0000), None);
        assert_eq!(bulk(0x7000_0000, 0), None);
        assert_eq!(bulk(u64::MAX - 1, u64::MAX), None);
    }

    #[test]
    fn a_core_s_window_is_whole_and_addressable_in_32_bits() {
        let window = |cpu, base, len| window(cpu, Region { base, len }).ok().map(|window| window.base);
        assert_eq!(window(3, 0x7000_0000, 0x8_0000), Some(0x7006_0000));
        assert_eq!(window(3, 0x7000_0000, 0x7_ffff), None);
        assert_eq!(window(0, 0x7000_0000, 0x10_0000), None);
        assert_eq!(window(u32::MAX, 0x7000_0000, 0x10_0000), None);
        assert_eq!(window(1, 0xfffc_0000, 0x10_0000), Some(0xfffe_0000));
        assert_eq!(window(2, 0xfffc_0000, 0x10_0000), None);
        assert_eq!(window(1, 0x1_0000_0000, 0x10_0000), None);
    }
}
