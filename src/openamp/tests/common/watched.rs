//! Memory whose other owner acts while we do.

use std::cell::Cell;

use shmem::{Fault, Memory, Window};

/// Counts accesses, and lets the other owner act before each.
pub struct Watched<'m> {
    inner: Window<'m>,
    other: Box<dyn Fn(&Window<'m>) + 'm>,
    accesses: Cell<usize>,
}

impl<'m> Watched<'m> {
    pub fn new(inner: Window<'m>, other: impl Fn(&Window<'m>) + 'm) -> Watched<'m> {
        Watched { inner, other: Box::new(other), accesses: Cell::new(0) }
    }

    /// Accesses since the last call.
    pub fn accesses(&self) -> usize {
        self.accesses.take()
    }

    fn access(&self) {
        self.accesses.set(self.accesses.get() + 1);
        (self.other)(&self.inner);
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

impl Memory for Watched<'_> {
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
