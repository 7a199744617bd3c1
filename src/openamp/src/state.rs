//! The two reserved words of the resource table header, by which MICA host and firmware tell each other about the
//! core's life (`mica-abi` "state word"), and micrun's extension to them.
//!
//! `reserved[0]` is MICA's state word. `reserved[1]` is always 0 in MICA; micrun firmware may say there *why* it
//! powered off before it writes [`CPU_OFF`] to the first word:
//!
//! | bits | meaning |
//! |---|---|
//! | 31..16 | `0x4d52` ("RM" as bytes in memory), so that a stray value is not taken for a report |
//! | 15..8 | 1 = the firmware ended by itself, 2 = a fault handler ended it |
//! | 7..0 | kind 1: exit status of the container; kind 2: the firmware's own fault number |
//!
//! Firmware that does not know the extension leaves 0, which reads as a plain power-off.

use shmem::{Fault, Memory, barrier};

/// Byte offset of the state word in the resource table.
pub const STATE_WORD: usize = 8;
/// Byte offset of the report word in the resource table.
pub const REPORT_WORD: usize = 12;

/// State word: the host has started the core (PSCI function id of `CPU_ON`, 64-bit).
pub const CPU_ON: u32 = 0xC400_0003;
/// State word: power off, asked for by the host or announced by the firmware (PSCI `CPU_OFF`).
pub const CPU_OFF: u32 = 0x8400_0002;
/// State word: the host asks the firmware to reset its virtqueues (PSCI `SYSTEM_RESET`).
pub const SYSTEM_RESET: u32 = 0x8400_0009;

/// What the state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Loaded and not started, or the firmware has done the reset that was asked for.
    Quiet,
    /// The host has started the core.
    On,
    /// The host has asked the firmware to reset its virtqueues.
    Reset,
    /// The core is to be, or is being, powered off.
    Off,
    /// Nothing that MICA defines; firmware takes it as [`State::Quiet`].
    Unknown(u32),
}

impl State {
    /// Reads the state word of the live table.
    pub fn read(table: &impl Memory) -> Result<State, Fault> {
        Ok(match table.load_u32(STATE_WORD)? {
            0 => State::Quiet,
            CPU_ON => State::On,
            SYSTEM_RESET => State::Reset,
            CPU_OFF => State::Off,
            other => State::Unknown(other),
        })
    }

    /// Writes the state word, after everything that was written before.
    pub fn write(self, table: &impl Memory) -> Result<(), Fault> {
        let word = match self {
            State::Quiet => 0,
            State::On => CPU_ON,
            State::Reset => SYSTEM_RESET,
            State::Off => CPU_OFF,
            State::Unknown(other) => other,
        };
        barrier::full();
        table.store_u32(STATE_WORD, word)
    }
}

const MAGIC: u32 = 0x4d52_0000;
const KIND_EXIT: u32 = 1 << 8;
const KIND_FAULT: u32 = 2 << 8;

/// Why the firmware powered itself off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It ended by itself with this exit status.
    Exit(u8),
    /// A fault handler ended it; the number is the firmware's own (on aarch64 the exception class).
    Fault(u8),
}

impl Report {
    /// The word for `reserved[1]`.
    pub const fn encode(self) -> u32 {
        match self {
            Report::Exit(status) => MAGIC | KIND_EXIT | status as u32,
            Report::Fault(number) => MAGIC | KIND_FAULT | number as u32,
        }
    }

    /// Reads `reserved[1]`; `None` for firmware that does not report.
    pub const fn decode(word: u32) -> Option<Report> {
        let number = word as u8;
        match word & !0xff {
            kind if kind == MAGIC | KIND_EXIT => Some(Report::Exit(number)),
            kind if kind == MAGIC | KIND_FAULT => Some(Report::Fault(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_word() {
        for report in [Report::Exit(0), Report::Exit(3), Report::Fault(0x25)] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
    }

    #[test]
    fn plain_firmware_reports_nothing() {
        assert_eq!(Report::decode(0), None);
        assert_eq!(Report::decode(CPU_OFF), None);
        assert_eq!(Report::decode(0x4d52_0303), None);
    }
}
