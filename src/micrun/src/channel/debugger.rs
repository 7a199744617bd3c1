//! A debugger for the firmware: bytes between `gdb.sock` and the firmware's debug rings.

use std::time::{Duration, Instant};

use super::TURN;
use super::door::{Door, Doors};
use crate::pedestal::baremetal::Link;
use openamp::Violation;
use openamp::debug_ring::{Reader, Writer};

/// The socket in the bundle.
const SOCKET: &str = "gdb.sock";
/// No interrupt tells of what the firmware writes: it is looked for this often while there is a client.
const LOOK: Duration = Duration::from_millis(10);
/// What gdb sends, alone, to stop the firmware.
const CTRL_C: &[u8] = b"\x03";

/// The rings' ends and the door to them.
pub(super) struct Debugger {
    door: Door,
    from_firmware: Reader,
    to_firmware: Writer,
    /// When to look again.
    next: Option<Instant>,
}

impl Debugger {
    /// `None` for firmware without debug rings.
    pub(super) fn open(link: &mut Link, doors: &Doors) -> Option<Debugger> {
        let (from_firmware, to_firmware) = link.take_debug_rings()?;
        let door = doors.open(SOCKET).inspect_err(|error| log::error!("{SOCKET}: {error}")).ok()?;
        log::info!("{SOCKET} leads to the firmware's debug rings");
        Some(Debugger { door, from_firmware, to_firmware, next: None })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn answer(&mut self, doors: &Doors) {
        self.door.answer(doors);
    }

    /// Moves bytes in both directions; what the client or the firmware does not take stays where it is.
    pub(super) fn pump(&mut self, link: &Link) -> Result<(), Violation> {
        let Debugger { door, from_firmware, to_firmware, next } = self;
        let memory = link.memory()?;
        for _ in 0..TURN {
            if !door.has_client() {
                break;
            }
            let mut stop = false;
            let written = from_firmware.read_with(&memory, |bytes| door.write(bytes))?;
            let read = to_firmware.write_with(&memory, |room| {
                let len = door.read(room);
                stop = room.starts_with(CTRL_C) && len == CTRL_C.len();
                len
            })?;
            if stop {
                link.interrupt_for_debugger()?;
            }
            if written + read == 0 {
                break;
            }
        }
        *next = door.has_client().then(|| Instant::now() + LOOK);
        Ok(())
    }
}
