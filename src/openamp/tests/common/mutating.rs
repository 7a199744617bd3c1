//! Memory whose other owner writes while we read.

use std::cell::Cell;

use shmem::{Fault, Memory, Window};

/// Counts accesses, and before each may change a byte below `reach`, by numbers that follow from a seed.
pub struct Mutating<'m> {
    pub inner: Window<'m>,
    pub reach: usize,
    /// One access in so many is preceded by a change; 0 for none.
    pub every: u32,
    pub state: Cell<u64>,
    pub accesses: Cell<usize>,
}

impl Mutating<'_> {
    /// xorshift64: any sequence will do as long as a seed gives it again.
    fn random(&self) -> u64 {
        let mut state = self.state.get() | 1;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state.set(state);
        state
    }

    fn access(&self) {
        self.accesses.set(self.accesses.get() + 1);
        if self.every == 0 {
            return;
        }
        let random = self.random();
        if (random as u32).is_multiple_of(self.every) {
            let at = (random >> 32) as usize % self.reach;
            // Small values hit indices and lengths; the others everything else.
            let value = if random & 1 == 0 { (random >> 8) as u8 % 20 } else { (random >> 8) as u8 };
            self.inner.store_u8(at, value).expect("inside");
        }
    }
}

macro_rules! passed_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> Result<$result, Fault> {
            self.access();
            self.inner.$name($($argument),*)
        })*
    };
}

impl Memory for Mutating<'_> {
    fn size(&self) -> usize {
        self.inner.size()
    }

    passed_on! {
        load_u8(at: usize) -> u8;
        load_u16(at: usize) -> u16;
        load_u32(at: usize) -> u32;
        load_u64(at: usize) -> u64;
        store_u8(at: usize, value: u8) -> ();
        store_u16(at: usize, value: u16) -> ();
        store_u32(at: usize, value: u32) -> ();
        store_u64(at: usize, value: u64) -> ();
        copy_out(at: usize, out: &mut [u8]) -> ();
        copy_in(at: usize, bytes: &[u8]) -> ();
        zero(at: usize, len: usize) -> ();
    }
}
