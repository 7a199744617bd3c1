//! The live table: how host and firmware agree on features, rings and status while the firmware runs.
//!
//! The *host* writes the rings' addresses and the features that it takes, kicks, prepares the rings, writes
//! [`DRIVER_OK`], and kicks again. OpenAMP writes just that bit, Linux goes through [`ACKNOWLEDGE`], [`DRIVER`] and, if
//! the device is a modern one, [`FEATURES_OK`]; so the *firmware* tests the one bit ([`Layout::driver_ready`]).
//! To start over, either side takes the bit away: the host before it resets the rings, OpenAMP firmware when it finds
//! [`NEEDS_RESET`].

use shmem::{Fault, Memory, barrier};

use super::{FEATURE_NAME_SERVICE, Layout, VDEV_LEN, VRING_LEN};
use crate::Violation;
use crate::vring::Geometry;

/// Virtio status bit: the driver has seen the device.
pub const ACKNOWLEDGE: u8 = 1;
/// Virtio status bit: the driver knows what to do with it.
pub const DRIVER: u8 = 2;
/// Virtio status bit: the driver is ready, the rings may be used.
pub const DRIVER_OK: u8 = 4;
/// Virtio status bit: the features are settled.
pub const FEATURES_OK: u8 = 8;
/// Virtio status bit: the device cannot go on without a reset.
pub const NEEDS_RESET: u8 = 0x40;
/// Virtio status bit: the driver has given up.
pub const FAILED: u8 = 0x80;

const ID: usize = 4;
const OFFERED: usize = 12;
const ACCEPTED: usize = 16;
const STATUS: usize = 24;
const VRINGS: usize = 25;

/// MICA's entry of the debug rings: two 64-bit addresses, the length, a state byte.
const DEBUG_DA: usize = 8;
const DEBUG_PA: usize = 16;
const DEBUG_STATE: usize = 32;
/// State byte: the host has initialised the rings.
const DEBUG_READY: u8 = 1;
/// State byte: the firmware has seen the last change.
const DEBUG_DATA: u8 = 2;
/// State byte: the user has pressed Ctrl-C.
const DEBUG_INTERRUPT: u8 = 3;

impl Layout {
    /// Tells the firmware where its rings are and which of its features are taken. `table` is the live table.
    pub fn write_vrings(&self, table: &impl Memory, addresses: [u32; 2]) -> Result<(), Fault> {
        for (index, address) in addresses.into_iter().enumerate() {
            table.store_u32(self.vring(index), address)?;
        }
        table.store_u32(self.vdev + ACCEPTED, self.features & FEATURE_NAME_SERVICE)
    }

    /// The features that the host has taken, of those that the firmware offers.
    pub fn accepted_features(&self, table: &impl Memory) -> Result<u32, Fault> {
        Ok(table.load_u32(self.vdev + ACCEPTED)? & self.features)
    }

    /// Writes the virtio status byte; [`DRIVER_OK`] lets the firmware use the rings.
    pub fn write_status(&self, table: &impl Memory, status: u8) -> Result<(), Fault> {
        // The rings are ready before the firmware reads that they are. Pairs with its barrier in `driver_ready`.
        barrier::write();
        table.store_u8(self.vdev + STATUS, status)
    }

    /// Reads the virtio status byte.
    pub fn read_status(&self, table: &impl Memory) -> Result<u8, Fault> {
        table.load_u8(self.vdev + STATUS)
    }

    /// Tells the firmware that its debug rings are ready, at physical and device address `pa`.
    pub fn write_debug_rings(&self, table: &impl Memory, pa: u32) -> Result<(), Fault> {
        let Some((at, _)) = self.debug_rings else { return Ok(()) };
        for (word, value) in [(DEBUG_DA, pa), (DEBUG_DA + 4, 0), (DEBUG_PA, pa), (DEBUG_PA + 4, 0)] {
            table.store_u32(at + word, value)?;
        }
        barrier::write();
        table.store_u8(at + DEBUG_STATE, DEBUG_READY)
    }

    /// For firmware: offset and length of its debug rings in a window of `size` bytes at device address `da`, as soon as the
    /// host has made them, and if they are in it.
    pub fn read_debug_rings(
        &self,
        table: &impl Memory,
        da: u32,
        size: usize,
    ) -> Result<Option<(usize, usize)>, Fault> {
        let Some((at, len)) = self.debug_rings else { return Ok(None) };
        if table.load_u8(at + DEBUG_STATE)? == 0 {
            return Ok(None);
        }
        // Pairs with the host's barrier in `write_debug_rings`.
        barrier::read();
        let address = table.load_u32(at + DEBUG_DA)?;
        let offset = address.checked_sub(da).and_then(|offset| usize::try_from(offset).ok());
        let inside = |at: &usize| at.is_multiple_of(8) && at.checked_add(len).is_some_and(|end| end <= size);
        Ok(offset.filter(inside).map(|at| (at, len)))
    }

    /// Asks the firmware to stop for the debugger. Then kick.
    pub fn interrupt_for_debugger(&self, table: &impl Memory) -> Result<(), Fault> {
        let Some((at, _)) = self.debug_rings else { return Ok(()) };
        table.store_u8(at + DEBUG_STATE, DEBUG_INTERRUPT)?;
        barrier::full();
        Ok(())
    }

    /// For firmware, in its interrupt handler: true, once, if the host asks it to stop for the debugger.
    pub fn take_debugger_interrupt(&self, table: &impl Memory) -> Result<bool, Fault> {
        let Some((at, _)) = self.debug_rings else { return Ok(false) };
        let stop = table.load_u8(at + DEBUG_STATE)? == DEBUG_INTERRUPT;
        if stop {
            table.store_u8(at + DEBUG_STATE, DEBUG_DATA)?;
        }
        Ok(stop)
    }

    /// True as soon as the rings and their addresses may be read.
    pub fn driver_ready(&self, table: &impl Memory) -> Result<bool, Fault> {
        let ready = self.read_status(table)? & DRIVER_OK != 0;
        // Pairs with the host's barrier in `write_status`.
        barrier::read();
        Ok(ready)
    }

    /// For a host that wrote [`DRIVER_OK`]: true if the firmware has taken it back, or wants to be reset.
    pub fn reset_by_remote(&self, table: &impl Memory) -> Result<bool, Fault> {
        let status = self.read_status(table)?;
        Ok(status & DRIVER_OK == 0 || status & NEEDS_RESET != 0)
    }

    /// Reads the address of one vring (0 or 1) that the host wrote.
    pub fn read_vring(&self, table: &impl Memory, index: usize) -> Result<u32, Fault> {
        table.load_u32(self.vring(index))
    }

    /// Reads where both rings are in a window of `size` bytes at device address `da`, and checks that they fit.
    pub fn read_rings(&self, table: &impl Memory, da: u32, size: usize) -> Result<[Geometry; 2], Violation> {
        let ring = |index: u8| {
            let address = self.read_vring(table, index.into())?;
            let entry = self.vrings[usize::from(index)];
            let ring = |base| Geometry { base, num: entry.num, align: entry.align as usize };
            let offset = address.checked_sub(da).and_then(|offset| usize::try_from(offset).ok());
            // Descriptors hold 64-bit words.
            let ring = offset.filter(|offset| offset.is_multiple_of(8)).map(ring);
            let inside = |ring: &Geometry| ring.base.checked_add(ring.size()).is_some_and(|end| end <= size);
            ring.filter(inside).ok_or(Violation::RingAddress { vring: index, address })
        };
        Ok([ring(0)?, ring(1)?])
    }

    /// Checks that the live table still is the one that was parsed, as far as the host depends on it: other firmware may
    /// have been loaded meanwhile, or the remote may have rewritten it.
    pub(crate) fn check_live(&self, table: &impl Memory) -> Result<(), Violation> {
        let check = |at: usize, expected: u32| match table.load_u32(at)? {
            value if value == expected => Ok(()),
            value => Err(Violation::TableChanged { at, value, expected }),
        };
        check(self.vdev + ID, super::VIRTIO_ID_RPMSG)?;
        check(self.vdev + OFFERED, self.features)?;
        for (index, entry) in self.vrings.iter().enumerate() {
            check(self.vring(index) + 4, entry.align)?;
            check(self.vring(index) + 8, entry.num.into())?;
        }
        match table.load_u8(self.vdev + VRINGS)? {
            2 => Ok(()),
            value => {
                Err(Violation::TableChanged { at: self.vdev + VRINGS, value: value.into(), expected: 2 })
            }
        }
    }

    fn vring(&self, index: usize) -> usize {
        self.vdev + VDEV_LEN + VRING_LEN * index
    }
}
