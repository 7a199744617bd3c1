//! A core without a core: plays the firmware within [`Machine::kick`], in this very thread.
//!
//! For benchmarks of everything above a machine, and for tests with many containers. It keeps the bare-metal contract:
//! announces `rpmsg-tty`, greets on the first message, echoes the others, and powers off when the state word says so.
//! The message `lie` makes it break the contract: it overwrites both rings.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};
use shmem::Mapping;

use super::baremetal::LoadError;
use super::ram::Ram;
use super::{Affinity, Death, Machine, MachineError, Process};
use crate::sys::page_size;
use firmware::board::{Board, Region};
use firmware::elf::Elf;
use openamp::placement::Placement;
use openamp::resource_table::Layout;
use openamp::rpmsg::{Name, PAYLOAD_LEN, Remote};
use openamp::state::{CPU_OFF, STATE_WORD};
use shmem::Memory;

const GREETING: &[u8] = b"fake core\r\n# ";
const LIE: &[u8] = b"lie";

/// One fake core.
pub(super) struct FakeCore {
    ram: Ram,
    window: Region,
    table: u64,
    layout: Layout,
    bell: EventFd,
    end: EventFd,
    firmware: RefCell<Option<Firmware>>,
    killed: bool,
}

struct Firmware {
    window: Mapping,
    /// The page with the state word.
    table: Mapping,
    state_word: usize,
    remote: Remote,
    greeted: bool,
    off: bool,
}

impl FakeCore {
    pub(super) fn new(board: &Board, cpu: u32, file: &[u8]) -> Result<FakeCore, LoadError> {
        let elf = Elf::parse(file)?;
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let (bell, end) =
            event().and_then(|bell| Ok((bell, event()?))).map_err(MachineError::system("eventfd"))?;
        Ok(FakeCore {
            ram: Ram::new()?,
            window: board.window(cpu)?,
            table: elf.resource_table().addr,
            layout: *elf.table_layout(),
            bell,
            end,
            firmware: RefCell::new(None),
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
        remote.announce(&window.window(), name).map_err(|error| broken("fake endpoint")(&error))?;
        let state_word = (self.table - page) as usize + STATE_WORD;
        Ok(Firmware { window, table, state_word, remote, greeted: false, off: false })
    }

    fn ring(counter: &EventFd) {
        // Fails only when 2^64 rings are pending, and then one more changes nothing.
        let _ = counter.write(1);
    }
}

impl Firmware {
    /// What the interrupt handler and the console task of a real firmware do.
    fn interrupted(&mut self) {
        if self.table.window().load_u32(self.state_word) == Ok(CPU_OFF) {
            self.off = true;
            return;
        }
        let window = self.window.window();
        let mut payload = [0; PAYLOAD_LEN];
        while let Ok(Some(message)) = self.remote.receive(&window, &mut payload) {
            if payload.starts_with(LIE) {
                // Indices that nobody counted to, descriptors that nobody holds.
                let _ = window.copy_in(0, &[0xff; 1024]);
                return;
            }
            let echo = if self.greeted { &payload[..message.len] } else { GREETING };
            self.greeted = true;
            if !echo.is_empty() {
                // A full ring loses the echo, as an RTOS without flow control would.
                let _ = self.remote.send(&window, message.endpoint, echo);
            }
        }
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
        if let Some(firmware) = self.firmware.borrow_mut().as_mut() {
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
}
