//! Which descriptors something is true of.

use super::MAX_NUM;

/// A set of descriptor numbers, all below [`MAX_NUM`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids([u64; MAX_NUM as usize / 64]);

impl Ids {
    /// True if `id` is in the set; any number may be asked for.
    pub(super) fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id / 64)).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    /// Adds an `id` below [`MAX_NUM`].
    pub(super) fn insert(&mut self, id: u16) {
        self.0[usize::from(id / 64)] |= 1 << (id % 64);
    }

    /// Takes an `id` below [`MAX_NUM`] out.
    pub(super) fn remove(&mut self, id: u16) {
        self.0[usize::from(id / 64)] &= !(1 << (id % 64));
    }
}
