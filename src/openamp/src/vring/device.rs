//! The device's half of a ring: the remote takes offered buffers and gives them back used.

use core::num::NonZeroU16;

use shmem::{Memory, barrier};

use super::{DESC_INDIRECT, DESC_NEXT, Geometry, MAX_NUM, NO_NOTIFY};
use crate::Violation;

/// A buffer that the driver offers, copied out of its descriptor once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Descriptor number, to give it back by.
    pub id: u16,
    /// Device address of the buffer.
    pub addr: u64,
    /// Its length in bytes.
    pub len: u32,
}

/// One ring seen from the device.
#[derive(Debug)]
pub struct DeviceQueue {
    ring: Geometry,
    vring: u8,
    available: u16,
    used: u16,
    /// The driver's index as last read: the ring is not looked at again before these are taken.
    seen: u16,
    /// The slots from `available` to `seen`, copied all at once: the driver goes on writing beside them.
    offered: [u16; MAX_NUM as usize],
    /// What we have written to the used ring. An element that is to be the same again is not written: its cache line
    /// stays with the driver.
    given: [Given; MAX_NUM as usize],
}

/// An element of the used ring as we wrote it; `None` before that, and for what is longer than any message.
type Given = Option<(u16, NonZeroU16)>;

impl DeviceQueue {
    /// A queue at its beginning; the driver has initialised the ring.
    pub fn new(ring: Geometry, vring: u8) -> DeviceQueue {
        DeviceQueue {
            ring,
            vring,
            available: 0,
            used: 0,
            seen: 0,
            offered: [0; MAX_NUM as usize],
            given: [None; MAX_NUM as usize],
        }
    }

    /// Back to the beginning, as after [`Self::new`].
    pub fn restart(&mut self) {
        *self = DeviceQueue::new(self.ring, self.vring);
    }

    /// Writes 0 to both shared indices: what MICA wants of the receiving ring in a reset.
    pub fn clear_indices(&self, memory: &impl Memory) -> Result<(), Violation> {
        memory.store_u16(self.ring.used() + 2, 0)?;
        memory.store_u16(self.ring.available() + 2, 0)?;
        Ok(())
    }

    /// Descriptors in the ring.
    pub fn num(&self) -> u16 {
        self.ring.num
    }

    /// Takes the next offered buffer.
    pub fn take(&mut self, memory: &impl Memory) -> Result<Option<Offered>, Violation> {
        let (vring, num) = (self.vring, self.ring.num);
        if self.available == self.seen && !self.look(memory)? {
            return Ok(None);
        }
        let id = self.offered[self.ring.place(self.available)];
        if id >= num {
            return Err(Violation::AvailableId { vring, id, num });
        }
        let offered = self.describe(memory, id)?;
        self.available = self.available.wrapping_add(1);
        Ok(Some(offered))
    }

    /// Gives buffer `id` back, `len` bytes of it used.
    pub fn give_back(&mut self, memory: &impl Memory, id: u16, len: u32) -> Result<(), Violation> {
        let given = u16::try_from(len).ok().and_then(NonZeroU16::new).map(|len| (id, len));
        let before = &mut self.given[self.ring.place(self.used)];
        if given.is_none() || given != *before {
            let slot = self.ring.used_slot(self.used);
            memory.store_u32(slot, id.into())?;
            memory.store_u32(slot + 4, len)?;
            *before = given;
        }
        self.used = self.used.wrapping_add(1);
        // Pairs with the driver's read barrier after it has read this index.
        barrier::write();
        memory.store_u16(self.ring.used() + 2, self.used)?;
        Ok(())
    }

    /// True if the driver wants to hear of what was given back since.
    pub fn wants_kick(&self, memory: &impl Memory) -> Result<bool, Violation> {
        // The index must be visible before the flag is read: the driver sets the flag, then reads the index.
        barrier::full();
        Ok(memory.load_u16(self.ring.available())? & NO_NOTIFY == 0)
    }

    /// Spares itself the driver's notification per offered buffer, or asks for it.
    pub fn notify_me(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        memory.store_u16(self.ring.used(), if wanted { 0 } else { NO_NOTIFY })?;
        barrier::full();
        Ok(())
    }

    /// Reads the available index and what it announces; true if it moved, by no more than the ring holds.
    fn look(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let index = memory.load_u16(self.ring.available() + 2)?;
        let ahead = index.wrapping_sub(self.available);
        if ahead > self.ring.num {
            let (vring, last, num) = (self.vring, self.available, self.ring.num);
            return Err(Violation::AvailableIndex { vring, index, ahead, last, num });
        }
        // Pairs with the driver's write barrier between the slot and this index.
        barrier::read();
        while self.seen != index {
            let slot = memory.load_u16(self.ring.available_slot(self.seen))?;
            self.offered[self.ring.place(self.seen)] = slot;
            self.seen = self.seen.wrapping_add(1);
        }
        Ok(ahead != 0)
    }

    fn describe(&self, memory: &impl Memory, id: u16) -> Result<Offered, Violation> {
        let at = self.ring.descriptor(id);
        let (addr, len) = (memory.load_u64(at)?, memory.load_u32(at + 8)?);
        let flags = memory.load_u16(at + 12)?;
        if flags & (DESC_NEXT | DESC_INDIRECT) != 0 {
            return Err(Violation::Chained { vring: self.vring, id, flags });
        }
        Ok(Offered { id, addr, len })
    }
}
