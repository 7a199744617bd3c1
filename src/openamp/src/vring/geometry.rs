//! Where the parts of a split ring lie.

/// One ring in the shared window. Offsets are bytes from the start of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Start of the descriptor table.
    pub base: usize,
    /// Descriptors, a power of two up to [`super::MAX_NUM`].
    pub num: u16,
    /// Alignment of the used ring, a power of two.
    pub align: usize,
}

impl Geometry {
    /// Descriptor `id`: `{u64 addr, u32 len, u16 flags, u16 next}`.
    pub(crate) fn descriptor(&self, id: u16) -> usize {
        self.base + 16 * usize::from(id)
    }

    /// Place in either ring for the free-running `index`.
    pub(crate) fn place(&self, index: u16) -> usize {
        usize::from(index & (self.num - 1))
    }

    /// Flags of the available ring, `{u16 flags, u16 idx, u16 ring[num], u16 used_event}`.
    pub(crate) fn available(&self) -> usize {
        self.base + 16 * usize::from(self.num)
    }

    /// Slot of the available ring for the free-running `index`.
    pub(crate) fn available_slot(&self, index: u16) -> usize {
        self.available() + 4 + 2 * self.place(index)
    }

    /// Flags of the used ring, `{u16 flags, u16 idx, {u32 id, u32 len}[num], u16 avail_event}`.
    pub(crate) fn used(&self) -> usize {
        self.base + self.used_offset()
    }

    /// Slot of the used ring for the free-running `index`.
    pub(crate) fn used_slot(&self, index: u16) -> usize {
        self.used() + 4 + 8 * self.place(index)
    }

    /// Bytes from `base` to the end of the ring.
    pub fn size(&self) -> usize {
        self.used_offset() + 6 + 8 * usize::from(self.num)
    }

    fn used_offset(&self) -> usize {
        // Not `next_multiple_of`: several times per message, a division costs more than all else here.
        let mask = self.align.wrapping_sub(1);
        (18 * usize::from(self.num) + 6 + mask) & !mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_match_the_reference_table() {
        // num, align, available, used, size: mica-abi 5.2, computed there with OpenAMP's own macros.
        for (num, align, available, used, size) in [
            (8, 4, 128, 152, 222),
            (8, 16, 128, 160, 230),
            (16, 4, 256, 296, 430),
            (256, 4096, 4096, 8192, 10246),
        ] {
            let ring = Geometry { base: 0, num, align };
            assert_eq!((ring.available(), ring.used(), ring.size()), (available, used, size));
        }
    }

    #[test]
    fn indices_wrap_into_the_ring() {
        let ring = Geometry { base: 0x100, num: 8, align: 4 };
        assert_eq!(ring.available_slot(65535), 0x100 + 128 + 4 + 14);
        assert_eq!(ring.used_slot(8), ring.used() + 4);
    }
}
