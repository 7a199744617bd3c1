//! A core without a core: plays the firmware within [`Machine::kick`], in this very thread.
//!
//! For benchmarks of everything above a machine, and for tests with many containers. It keeps the bare-metal contract:
//! announces `rpmsg-tty`, greets on the first message, echoes the others, and powers off when the state word says so.
//! The message `lie` makes it break the contract: it overwrites both rings; `announce NAME` and `withdraw NAME` do so with
//! another endpoint; after `deaf` the next kicks are lost; what comes to `rpmsg-umt` is shown on the console, and the data
//! that it tells of sent back. Of debug rings it is an echo, but Ctrl-C. Paused it does nothing; a kick that it missed then
//! it takes when it goes on.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use shmem::Mapping;

use super::ram::Ram;
use super::{Affinity, Control, Death, Machine, MachineError, Process};
use crate::resources::CoreLimits;
use crate::sys::page_size;
use firmware::board::{self, Region};
use firmware::elf::Elf;
use openamp::debug_ring::{self, Reader, Writer};
use openamp::placement::Placement;
use openamp::resource_table::Layout;
use openamp::rpmsg::{EndpointId, Name, PAYLOAD_LEN, Remote};
use openamp::state::{CPU_OFF, STATE_WORD};
use shmem::Memory;

const GREETING: &[u8] = b"fake core\r\n# ";
const LIE: &[u8] = b"lie";
const DEAF: &[u8] = b"deaf";
/// Kicks that are lost after that.
const LOST: u32 = 3;
/// How the stub says that Ctrl-C has stopped it.
const STOPPED: &[u8] = b"$T02#b6";

/// One fake core.
pub(super) struct FakeCore {
    ram: Ram,
    window: Region,
    bulk: Option<Region>,
    table: u64,
    layout: Layout,
    bell: Arc<EventFd>,
    end: EventFd,
    firmware: RefCell<Option<Firmware>>,
    paused: Arc<AtomicBool>,
    /// It was kicked while it was paused.
    missed: Cell<bool>,
    killed: bool,
}

/// Stops and resumes it from another thread.
struct Switch {
    paused: Arc<AtomicBool>,
    bell: Arc<EventFd>,
    memory: u64,
}

struct Firmware {
    window: Arc<Mapping>,
    bulk: Option<Mapping>,
    /// The page with the state word.
    table: Mapping,
    /// Offset of the table.
    table_at: usize,
    layout: Layout,
    remote: Remote,
    endpoints: Vec<EndpointId>,
    debug_rings: Option<(Writer, Reader)>,
    greeted: bool,
    /// Kicks that are going to be lost.
    deaf: u32,
    off: bool,
}

impl FakeCore {
    pub(super) fn new(window: Region, bulk: Option<Region>, elf: &Elf) -> Result<FakeCore, MachineError> {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let (bell, end) =
            event().and_then(|bell| Ok((bell, event()?))).map_err(MachineError::system("eventfd"))?;
        Ok(FakeCore {
            ram: Ram::new(board::Machine::Virt)?,
            window,
            bulk,
            table: elf.resource_table().addr,
            layout: *elf.table_layout(),
            bell: Arc::new(bell),
            end,
            firmware: RefCell::new(None),
            paused: Arc::default(),
            missed: Cell::new(false),
            killed: false,
        })
    }

    fn start(&self) -> Result<Firmware, MachineError> {
        let broken = |what| {
            move |error: &dyn std::fmt::Display| MachineError::System {
                what,
                source: std::io::Error::other(error.to_string()),
            }
        };
        let window = self.ram.map(self.window.base, self.window.len as usize)?;
        let page = self.table - self.table % page_size();
        let table = self.ram.map(page, page_size() as usize)?;
        let da = self.window.base as u32;
        let placement = Placement::new(&self.layout, da, self.window.len as usize)
            .map_err(|error| broken("fake rings")(&error))?;
        let mut remote = Remote::new(&window.window(), da, placement.rings)
            .map_err(|error| broken("fake rings")(&error))?;
        let name = Name::new("rpmsg-tty").map_err(|error| broken("fake endpoint")(&error))?;
        let tty = remote.announce(&window.window(), name).map_err(|error| broken("fake endpoint")(&error))?;
        let debug_rings = self.layout.debug_rings_len();
        let bulk = self.bulk.map(|bulk| self.ram.map(bulk.base, bulk.len as usize)).transpose()?;
        Ok(Firmware {
            window: Arc::new(window),
            bulk,
            table,
            table_at: (self.table - page) as usize,
            layout: self.layout,
            remote,
            endpoints: vec![tty],
            debug_rings: debug_rings.map(|len| debug_ring::firmware(placement.end(), len)),
            greeted: false,
            deaf: 0,
            off: false,
        })
    }

    fn ring(counter: &EventFd) {
        // Fails only when 2^64 rings are pending, and then one more changes nothing.
        let _ = counter.write(1);
    }
}

impl Firmware {
    /// What the interrupt handler and the console task of a real firmware do.
    fn interrupted(&mut self) {
        if self.table.window().load_u32(self.table_at + STATE_WORD) == Ok(CPU_OFF) {
            self.off = true;
            return;
        }
        self.debug();
        let window = self.window.clone();
        let window = window.window();
        let mut payload = [0; PAYLOAD_LEN];
        while let Ok(Some(message)) = self.remote.receive(&window, &mut payload) {
            if payload.starts_with(LIE) {
                // Indices that nobody counted to, descriptors that nobody holds.
                let _ = window.copy_in(0, &[0xff; 1024]);
                return;
            }
            if payload.starts_with(DEAF) {
                self.deaf = LOST;
            }
            if self.change(&payload[..message.len]) {
                continue;
            }
            if self.remote.endpoint(message.endpoint).is_some_and(|end| end.name.as_str() == "rpmsg-umt") {
                let shown = format!("umt {:?}\n", &payload[..message.len]);
                let _ = self.remote.send(&window, self.endpoints[0], shown.as_bytes());
                if let Some(descriptor) = self.send_back(&payload) {
                    let _ = self.remote.send(&window, message.endpoint, &descriptor);
                }
                continue;
            }
            let echo = if self.greeted { &payload[..message.len] } else { GREETING };
            self.greeted = true;
            if !echo.is_empty() {
                // A full ring loses the echo, as an RTOS without flow control would.
                let _ = self.remote.send(&window, message.endpoint, echo);
            }
        }
    }

    /// Announces or withdraws an endpoint, if the message says so.
    fn change(&mut self, message: &[u8]) -> bool {
        let window = self.window.window();
        let text = String::from_utf8_lossy(message);
        let Some((verb @ ("announce" | "withdraw"), name)) = text.trim_end().split_once(' ') else {
            return false;
        };
        let Ok(name) = Name::new(name) else { return false };
        if verb == "announce" {
            self.endpoints.extend(self.remote.announce(&window, name));
        } else {
            let named = |id: &EndpointId| self.remote.endpoint(*id).is_some_and(|end| end.name == name);
            let gone = self.endpoints.iter().position(named).map(|place| self.endpoints.remove(place));
            let _ = gone.map(|id| self.remote.withdraw(&window, id));
        }
        true
    }

    /// Copies the data of a descriptor from the host's half of the window to the other one; gives the descriptor of that.
    /// The text that the host begins with is left alone.
    fn send_back(&self, message: &[u8; PAYLOAD_LEN]) -> Option<[u8; 16]> {
        let window = self.bulk.as_ref()?.window();
        let (half, len) = (window.size() / 2, u32::from_le_bytes(*message[8..].first_chunk()?));
        let mut data = vec![0; len as usize];
        window.copy_out(0, &mut data).and_then(|()| window.copy_in(half, &data)).ok()?;
        if data.starts_with(b"first message") {
            return None;
        }
        let address = u64::from_le_bytes(*message.first_chunk()?) + half as u64;
        Some((u128::from(len) << 64 | u128::from(address)).to_le_bytes())
    }

    /// The stub of a debugger.
    fn debug(&mut self) {
        let (window, table) = (self.window.window(), self.table.window());
        let Some((to_host, from_host)) = &mut self.debug_rings else { return };
        let table = table.part(self.table_at, self.layout.len());
        let stop = table.and_then(|table| self.layout.take_debugger_interrupt(&table)) == Ok(true);
        let _ = from_host.read_with(&window, |bytes| {
            let answer = if stop { STOPPED } else { bytes };
            let echo = |room: &mut [u8]| {
                room[..answer.len()].copy_from_slice(answer);
                answer.len()
            };
            to_host.write_with(&window, echo).unwrap_or(0);
            bytes.len()
        });
    }
}

impl Machine for FakeCore {
    fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError> {
        self.ram.map(pa, len)
    }

    fn zeroed(&self) -> bool {
        true
    }

    fn boot(&mut self, _: u64, _: &dyn Fn() -> bool) -> Result<(), MachineError> {
        self.firmware = RefCell::new(Some(self.start()?));
        FakeCore::ring(&self.bell);
        Ok(())
    }

    fn kick(&self) {
        if self.paused.load(Ordering::Acquire) {
            return self.missed.set(true);
        }
        if let Some(firmware) = self.firmware.borrow_mut().as_mut() {
            if let Some(left) = firmware.deaf.checked_sub(1) {
                firmware.deaf = left;
                return;
            }
            firmware.interrupted();
            FakeCore::ring(&self.bell);
        }
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn silence(&self) {
        // Fails only if it has not rung.
        let _ = self.bell.read();
        if self.missed.take() {
            self.kick();
        }
    }

    fn ask_affinity(&mut self) {
        FakeCore::ring(&self.bell);
    }

    fn affinity(&self) -> Option<Affinity> {
        let off = self.firmware.borrow().as_ref().is_none_or(|firmware| firmware.off);
        Some(if off { Affinity::Off } else { Affinity::On })
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        Some(self.end.as_fd())
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn death(&mut self) -> Option<Death> {
        self.killed.then_some(Death::Signal(libc::SIGKILL))
    }

    fn cut_power(&mut self) {
        self.killed = true;
        self.firmware = RefCell::new(None);
        FakeCore::ring(&self.end);
    }

    fn process(&self) -> Option<Process> {
        None
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        Some(Arc::new(Switch {
            paused: self.paused.clone(),
            bell: self.bell.clone(),
            memory: self.ram.size(),
        }))
    }
}

impl Control for Switch {
    fn pause(&self) -> Result<(), MachineError> {
        self.paused.store(true, Ordering::Release);
        Ok(())
    }

    fn resume(&self) -> Result<(), MachineError> {
        self.paused.store(false, Ordering::Release);
        FakeCore::ring(&self.bell);
        Ok(())
    }

    fn limit(&self, limits: &CoreLimits) -> Result<(), MachineError> {
        match limits.cpus {
            None => Ok(()),
            Some(_) => Err(MachineError::Unsupported("a fake core runs on no cpu")),
        }
    }

    fn memory(&self) -> u64 {
        self.memory
    }
}
