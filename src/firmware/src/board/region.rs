//! Ranges of physical addresses.

use std::fmt;

/// Physical addresses from `base` on. Displayed as `0xSTART..0xEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

impl Region {
    /// True if all of `other` lies in this region.
    pub fn contains(&self, other: Region) -> bool {
        other.base >= self.base && other.end() <= self.end()
    }

    /// True if the regions share an address.
    pub fn overlaps(&self, other: Region) -> bool {
        u128::from(self.base) < other.end() && u128::from(other.base) < self.end()
    }

    /// The address after the last; 128 bits, as the last address may be the highest there is.
    fn end(&self) -> u128 {
        u128::from(self.base) + u128::from(self.len)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.end())
    }
}
