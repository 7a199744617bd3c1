//! MICA's debug ring buffers: a byte stream in each direction beside RPMsg, for a debugger and the stub in the firmware.
//!
//! Both lie one after the other and are of equal size; the first leads from the firmware to the host. Each is
//! `u32 in, u32 out, u32 length, u32 unused`, then `length` bytes. `in` counts the bytes ever written, `out` those ever
//! read, and the place of a byte is its number modulo the length. No interrupt tells of bytes: both sides look.
//!
//! The length need not be a power of two, so that places jump where a counter wraps at 2^32. No piece is read or written
//! across that point, and a [`Writer`] waits there until everything before it is read.

use shmem::{Fault, Memory, barrier};

use crate::Violation;

const IN: usize = 0;
const OUT: usize = 4;
const LEN: usize = 8;
const HEADER_LEN: usize = 16;
/// Most bytes that are moved at once.
pub const PIECE: usize = 512;

/// The host's ends of both rings, which it initialises: `len` bytes at `at`, a multiple of 8 as is `at`.
pub fn host(memory: &impl Memory, at: usize, len: usize) -> Result<(Reader, Writer), Fault> {
    memory.zero(at, len)?;
    let (reader, writer) = (Reader { end: End::new(at, len, 0) }, Writer { end: End::new(at, len, 1) });
    for end in [&reader.end, &writer.end] {
        memory.store_u32(end.at + LEN, end.len)?;
    }
    Ok((reader, writer))
}

/// The firmware's ends of both rings, when the host has initialised them.
pub fn firmware(at: usize, len: usize) -> (Writer, Reader) {
    (Writer { end: End::new(at, len, 0) }, Reader { end: End::new(at, len, 1) })
}

/// One side of one ring.
#[derive(Debug)]
struct End {
    ring: u8,
    at: usize,
    len: u32,
    /// Our own counter. What is in memory is never read back.
    ours: u32,
}

impl End {
    fn new(at: usize, len: usize, ring: u8) -> End {
        let half = len / 2;
        // The entry of the resource table was checked to hold a header.
        let data = u32::try_from(half.saturating_sub(HEADER_LEN)).unwrap_or(u32::MAX);
        End { ring, at: at + half * usize::from(ring), len: data, ours: 0 }
    }

    /// How many bytes `written` is ahead of `read`, one of which is the peer's.
    fn filled(&self, written: u32, read: u32) -> Result<u32, Violation> {
        let filled = written.wrapping_sub(read);
        let lie = Violation::DebugRing { ring: self.ring, written, read, len: self.len };
        if filled <= self.len { Ok(filled) } else { Err(lie) }
    }

    /// Where our next byte is, and how many of `count` lie together from there on.
    fn piece(&self, count: u32) -> (usize, usize) {
        let place = self.ours.checked_rem(self.len).unwrap_or(0);
        // The last number before the wrap goes alone.
        let before_wrap = (u32::MAX - self.ours).max(1);
        let together = count.min(self.len - place).min(before_wrap).min(PIECE as u32);
        (self.at + HEADER_LEN + place as usize, together as usize)
    }

    /// Publishes that we are `count` bytes further. What was done with them is done.
    fn advance(&mut self, memory: &impl Memory, counter: usize, count: usize) -> Result<(), Fault> {
        barrier::write();
        self.ours = self.ours.wrapping_add(count as u32);
        memory.store_u32(self.at + counter, self.ours)
    }
}

/// The end of a ring that takes bytes out.
#[derive(Debug)]
pub struct Reader {
    end: End,
}

impl Reader {
    /// Offers the next bytes, at most [`PIECE`], to `take`, which says how many of them it took; the others stay. Gives that
    /// number, 0 if there are none to offer.
    pub fn read_with(
        &mut self,
        memory: &impl Memory,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<usize, Violation> {
        let written = memory.load_u32(self.end.at + IN)?;
        // Pairs with the writer's barrier in `advance`.
        barrier::read();
        let (at, together) = self.end.piece(self.end.filled(written, self.end.ours)?);
        let mut bytes = [0; PIECE];
        let bytes = &mut bytes[..together];
        if bytes.is_empty() {
            return Ok(0);
        }
        memory.copy_out(at, bytes)?;
        let taken = take(bytes).min(together);
        self.end.advance(memory, OUT, taken)?;
        Ok(taken)
    }
}

/// The end of a ring that puts bytes in.
#[derive(Debug)]
pub struct Writer {
    end: End,
}

impl Writer {
    /// Has `give` fill room for at most [`PIECE`] bytes from its start; it says how many it gave. Gives that number, 0 if
    /// there is no room.
    pub fn write_with(
        &mut self,
        memory: &impl Memory,
        give: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, Violation> {
        let read = memory.load_u32(self.end.at + OUT)?;
        // Pairs with the reader's barrier in `advance`: it has copied what we are going to overwrite.
        barrier::full();
        let filled = self.end.filled(self.end.ours, read)?;
        // A reader that is ahead in number only has not come to the wrap yet.
        let room = if read > self.end.ours { 0 } else { self.end.len - filled };
        let (at, together) = self.end.piece(room);
        let mut bytes = [0; PIECE];
        let bytes = &mut bytes[..together];
        if bytes.is_empty() {
            return Ok(0);
        }
        let given = give(bytes).min(together);
        memory.copy_in(at, bytes.get(..given).unwrap_or_default())?;
        self.end.advance(memory, IN, given)?;
        Ok(given)
    }
}

#[cfg(test)]
mod tests;
