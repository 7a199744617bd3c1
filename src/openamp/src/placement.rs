//! Where rings and buffers lie in the shared window.
//!
//! MICA's host lays them out one after another from the start of the window: vring 0, vring 1, the buffers of
//! vring 0, the buffers of vring 1. micrun keeps that order to the byte, so that a host of either kind can take over.

use crate::resource_table::Layout;
use crate::vring::Geometry;

/// Size of one message buffer in bytes, header included (`RPMSG_BUFFER_SIZE`, Linux and OpenAMP alike).
pub const BUFFER_LEN: usize = 512;

/// The rings do not fit the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vrings and buffers need {needed:#x} bytes, the shared window has {size:#x}")]
pub struct NoRoom {
    /// Bytes needed.
    pub needed: usize,
    /// Bytes there are.
    pub size: usize,
}

/// Offsets from the start of the window, and the window's device address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Device address of the window: what firmware calls the byte at offset 0.
    pub da: u32,
    /// The two rings: 0 remote to host, 1 host to remote.
    pub rings: [Geometry; 2],
    /// First buffer of each ring.
    pub buffers: [usize; 2],
}

impl Placement {
    /// Lays out what `table` asks for in a window of `size` bytes at device address `da`.
    pub fn new(table: &Layout, da: u32, size: usize) -> Result<Placement, NoRoom> {
        let [first, second] = *table.vrings();
        let ring0 = Geometry { base: 0, num: first.num, align: first.align as usize };
        // Sixteen bytes: virtio's alignment of a descriptor table. MICA's own rounding keeps it for 8 or more buffers.
        let base = ring0.size().next_multiple_of(ring0.align).next_multiple_of(16.max(second.align as usize));
        let ring1 = Geometry { base, num: second.num, align: second.align as usize };
        // Eight bytes: a remote that maps the window as device memory must find headers aligned.
        let buffers0 = (base + ring1.size().next_multiple_of(ring1.align)).next_multiple_of(8);
        let buffers1 = buffers0 + BUFFER_LEN * usize::from(ring0.num);
        let placement = Placement { da, rings: [ring0, ring1], buffers: [buffers0, buffers1] };
        let needed = placement.end();
        let reachable = usize::try_from(u32::MAX - da).unwrap_or(usize::MAX);
        if needed > size || needed > reachable {
            return Err(NoRoom { needed, size: size.min(reachable) });
        }
        Ok(placement)
    }

    /// The first byte behind the buffers, where MICA puts its debug rings; a multiple of 8.
    pub fn end(&self) -> usize {
        self.buffers[1] + BUFFER_LEN * usize::from(self.rings[1].num)
    }

    /// Device addresses of the rings, for the resource table.
    pub fn ring_addresses(&self) -> [u32; 2] {
        // Both offsets were checked against the 32-bit address space by `new`.
        self.rings.map(|ring| self.da + ring.base as u32)
    }
}
