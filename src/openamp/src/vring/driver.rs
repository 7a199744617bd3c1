//! The driver's half of a ring: the host offers buffers and gets them back used.

use shmem::{Memory, barrier};

use super::ids::Ids;
use super::{DESC_WRITE, Geometry, MAX_NUM, NO_NOTIFY};
use crate::Violation;
use crate::placement::BUFFER_LEN;

/// The buffers of a ring: as many as descriptors, [`BUFFER_LEN`] bytes each, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Device address of the first.
    pub addr: u64,
    /// The device writes into them.
    pub writable: bool,
}

/// A buffer that came back: descriptor number and the length that the device claims, not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Descriptor, and with it buffer, number.
    pub id: u16,
    /// Bytes the device says it wrote.
    pub len: u32,
}

/// One ring seen from the driver. Everything it believes is kept here; the shared copy is only written.
///
/// Descriptor `i` always names buffer `i`, so that nothing the device writes can move a buffer, and a descriptor is
/// written once.
#[derive(Debug)]
pub struct DriverQueue {
    ring: Geometry,
    vring: u8,
    buffers: Buffers,
    available: u16,
    used: u16,
    /// The device's used index as last read: the ring is not looked at again before these are handled.
    seen: u16,
    /// Descriptors that name their buffer in memory already. The device's cache keeps them as long as nobody writes.
    described: Ids,
    /// Descriptors that the device holds.
    held: Ids,
    holding: u16,
    /// What the slots of the available ring hold. One that is to hold the same again is not written: its cache line
    /// stays with the device.
    slots: [u16; MAX_NUM as usize],
    /// Descriptors that nobody holds: `spare` entries from `first` on, in a ring. First in, first out, so that a device
    /// that keeps the order finds each descriptor in the same slot every time around.
    free: [u16; MAX_NUM as usize],
    first: u16,
    spare: u16,
}

impl DriverQueue {
    /// Zeroes the ring in `memory`, chains the descriptors as OpenAMP does and keeps all of them free.
    pub fn new(
        memory: &impl Memory,
        ring: Geometry,
        vring: u8,
        buffers: Buffers,
    ) -> Result<DriverQueue, Violation> {
        memory.zero(ring.base, ring.size())?;
        let mut free = [0; MAX_NUM as usize];
        for id in 0..ring.num {
            // `next` has no meaning without the flag; OpenAMP leaves this chain, ended by 0x8000, in memory.
            let next = if id + 1 == ring.num { 0x8000 } else { id + 1 };
            memory.store_u16(ring.descriptor(id) + 14, next)?;
            free[usize::from(id)] = id;
        }
        Ok(DriverQueue {
            ring,
            vring,
            buffers,
            available: 0,
            used: 0,
            seen: 0,
            described: Ids::default(),
            held: Ids::default(),
            holding: 0,
            slots: [0; MAX_NUM as usize],
            free,
            first: 0,
            spare: ring.num,
        })
    }

    /// Takes a free descriptor, if there is one; it is the caller's until offered or put back.
    pub fn take(&mut self) -> Option<u16> {
        self.spare = self.spare.checked_sub(1)?;
        let id = self.free[self.ring.place(self.first)];
        self.first = self.first.wrapping_add(1);
        Some(id)
    }

    /// Puts back a descriptor that came from [`Self::take`] or [`Self::reclaim`].
    pub fn put_back(&mut self, id: u16) {
        self.free[self.ring.place(self.first.wrapping_add(self.spare))] = id;
        self.spare += 1;
    }

    /// Offers the caller's buffer `id` to the device.
    pub fn offer(&mut self, memory: &impl Memory, id: u16) -> Result<(), Violation> {
        if id >= self.ring.num || self.held.contains(id) {
            return Err(Violation::NotOurs { vring: self.vring, id });
        }
        if !self.described.contains(id) {
            self.describe(memory, id)?;
        }
        let slot = &mut self.slots[self.ring.place(self.available)];
        if *slot != id {
            memory.store_u16(self.ring.available_slot(self.available), id)?;
            *slot = id;
        }
        self.hold(id);
        self.available = self.available.wrapping_add(1);
        // Pairs with the device's read barrier after it has read this index.
        barrier::write();
        memory.store_u16(self.ring.available() + 2, self.available)?;
        Ok(())
    }

    /// Gives the next buffer that the device is done with; its descriptor is the caller's.
    pub fn reclaim(&mut self, memory: &impl Memory) -> Result<Option<Used>, Violation> {
        if self.used == self.seen && !self.look(memory)? {
            return Ok(None);
        }
        let slot = self.ring.used_slot(self.used);
        let (id, len) = (memory.load_u32(slot)?, memory.load_u32(slot + 4)?);
        let held = u16::try_from(id).ok().filter(|id| self.release(*id));
        let id = held.ok_or(Violation::UsedId { vring: self.vring, id, num: self.ring.num })?;
        self.used = self.used.wrapping_add(1);
        Ok(Some(Used { id, len }))
    }

    /// True if the device wants to hear of what was offered since.
    pub fn wants_kick(&self, memory: &impl Memory) -> Result<bool, Violation> {
        // The index must be visible before the flag is read: the device sets the flag, then reads the index.
        barrier::full();
        Ok(memory.load_u16(self.ring.used())? & NO_NOTIFY == 0)
    }

    /// Asks the device for, or spares it, a notification per used buffer. After asking, reclaim once more: a buffer
    /// may have come back just before.
    pub fn notify_me(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        memory.store_u16(self.ring.available(), if wanted { 0 } else { NO_NOTIFY })?;
        barrier::full();
        Ok(())
    }

    /// Descriptors that the device holds.
    pub fn holding(&self) -> u16 {
        self.holding
    }

    /// Descriptors in the ring.
    pub fn num(&self) -> u16 {
        self.ring.num
    }

    /// Reads the used index; true if it moved, by no more than the device holds.
    fn look(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let index = memory.load_u16(self.ring.used() + 2)?;
        let ahead = index.wrapping_sub(self.used);
        if ahead > self.holding {
            let (vring, last, num) = (self.vring, self.used, self.ring.num);
            return Err(Violation::UsedIndex { vring, index, ahead, last, num });
        }
        self.seen = index;
        // Pairs with the device's write barrier between the element and this index.
        barrier::read();
        Ok(ahead != 0)
    }

    fn describe(&mut self, memory: &impl Memory, id: u16) -> Result<(), Violation> {
        let Buffers { addr, writable } = self.buffers;
        let descriptor = self.ring.descriptor(id);
        memory.store_u64(descriptor, addr + BUFFER_LEN as u64 * u64::from(id))?;
        memory.store_u32(descriptor + 8, BUFFER_LEN as u32)?;
        memory.store_u16(descriptor + 12, if writable { DESC_WRITE } else { 0 })?;
        self.described.insert(id);
        Ok(())
    }

    fn hold(&mut self, id: u16) {
        self.held.insert(id);
        self.holding += 1;
    }

    /// Takes `id` back; false if the device did not hold it.
    fn release(&mut self, id: u16) -> bool {
        let held = self.held.contains(id);
        if held {
            self.held.remove(id);
            self.holding -= 1;
        }
        held
    }
}
