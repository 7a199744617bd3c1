//! The debugger's way in: the stub runs in the interrupt handler, over the debug rings, until gdb lets the core go on.
//!
//! Ctrl-C comes as a kick with a word in the resource table. gdb's first packets come without any interrupt: the tick
//! looks for them.

use openamp::debug_ring::{self, Reader, Writer};
use openamp::state::CPU_OFF;
use shmem::{Memory, Window};
use test_rtos::gdb::{BEGIN, Next, REGISTERS, Space, Stub};
use test_rtos::resource_table;

use super::exclusive::Exclusive;
use super::link::{REGION, REGION_LEN, communication};
use super::{power, table};

/// Memory of the RTOS on every pedestal (`image.ld`).
const RAM: core::ops::Range<u64> = 0x7a00_0000..0x7e00_0000;
const SHARED: core::ops::Range<u64> = REGION as u64..(REGION + REGION_LEN) as u64;

static DEBUGGER: Exclusive<Debugger> = Exclusive::new(Debugger { rings: None, stub: Stub::new() });

struct Debugger {
    rings: Option<(Writer, Reader)>,
    stub: Stub,
}

/// The host has kicked: stops for the debugger if that is why.
pub fn kicked(registers: &mut [u64; REGISTERS]) {
    DEBUGGER.with(|debugger| {
        let asked = resource_table::layout().map(|layout| layout.take_debugger_interrupt(&table::window()));
        if let Ok(Ok(true)) = asked
            && debugger.open()
        {
            debugger.stub.interrupted();
            debugger.serve(registers);
        }
    });
}

/// Time has passed: stops for the debugger if it has begun to say something. What comes outside of packets needs no stop: an
/// acknowledgement of the last answer, Ctrl-C, whose kick does the rest.
pub fn looked(registers: &mut [u64; REGISTERS]) {
    DEBUGGER.with(|debugger| {
        while debugger.open()
            && let Some(byte) = debugger.read()
        {
            if byte == BEGIN {
                debugger.stub.take(byte, registers, &mut Everything);
                return debugger.serve(registers);
            }
        }
    });
}

impl Debugger {
    /// True if there are rings.
    fn open(&mut self) -> bool {
        if self.rings.is_none()
            && let Ok(layout) = resource_table::layout()
            && let Ok(Some((at, len))) = layout.read_debug_rings(&table::window(), REGION as u32, REGION_LEN)
        {
            self.rings = Some(debug_ring::firmware(at, len));
        }
        self.rings.is_some()
    }

    /// Answers gdb until the core may go on, or is to go off.
    fn serve(&mut self, registers: &mut [u64; REGISTERS]) {
        let mut next = Next::Stay;
        while next == Next::Stay || !self.stub.answer.is_empty() {
            if table::state() == CPU_OFF {
                power::off();
            }
            self.write();
            if next == Next::Stay
                && let Some(byte) = self.read()
            {
                next = self.stub.take(byte, registers, &mut Everything);
            }
            core::hint::spin_loop();
        }
    }

    /// The next byte of gdb. A ring that cannot be has none.
    fn read(&mut self) -> Option<u8> {
        let (_, reader) = self.rings.as_mut()?;
        let mut read = None;
        let took = |bytes: &[u8]| {
            read = bytes.first().copied();
            1
        };
        reader.read_with(&communication(), took).ok()?;
        read
    }

    fn write(&mut self) {
        let (Some((writer, _)), answer) = (&mut self.rings, &mut self.stub.answer) else { return };
        if answer.is_empty() {
            return;
        }
        let give = |room: &mut [u8]| {
            let given = room.len().min(answer.as_slice().len());
            room[..given].copy_from_slice(&answer.as_slice()[..given]);
            answer.drop_front(given);
            given
        };
        if writer.write_with(&communication(), give).is_err() {
            answer.clear();
        }
    }
}

/// All memory that the image may have to do with.
struct Everything;

impl Everything {
    fn byte(address: u64) -> Option<Window<'static>> {
        if !RAM.contains(&address) && !SHARED.contains(&address) {
            return None;
        }
        // SAFETY: the address is memory. The code that was interrupted does not run while the debugger looks at what it was
        // working on, and what it writes there is meant.
        Some(unsafe { Window::from_raw(address as usize as *mut u8, 1) })
    }
}

impl Space for Everything {
    fn load(&self, address: u64) -> Option<u8> {
        Everything::byte(address)?.load_u8(0).ok()
    }

    fn store(&mut self, address: u64, value: u8) -> bool {
        Everything::byte(address).is_some_and(|byte| byte.store_u8(0, value).is_ok())
    }
}
