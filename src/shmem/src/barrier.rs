//! Memory barriers between this core and the peer, in one place so that a board can strengthen them.
//!
//! Rust's fences stay in the inner-shareable domain (`dmb ish` on aarch64), which is enough between cores of one
//! coherent cluster and between a process and an emulated core. A remote outside that domain would need the
//! outer-shareable forms (Linux `include/linux/virtio_ring.h`, note on heterogeneous CPUs).

#[cfg(not(loom))]
use core::sync::atomic::{Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{Ordering, fence};

/// Orders every earlier access before every later one: between publishing an index and reading the peer's flags.
#[inline]
pub fn full() {
    fence(Ordering::SeqCst);
}

/// Orders an index read before the reads of what it announces. Pairs with the peer's [`write()`].
#[inline]
pub fn read() {
    fence(Ordering::Acquire);
}

/// Orders the writes of an element before the index that announces it. Pairs with the peer's [`read()`].
#[inline]
pub fn write() {
    fence(Ordering::Release);
}
