//! One value, one user at a time, on one core: the seam between tasks and the fault handler.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that refuses a second borrow instead of waiting for the first to end.
pub struct Exclusive<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` hands out one reference at a time, and there is one core. Between its load and its store only an
// interrupt or fault can come in: the interrupt handler uses one that nobody else does, and a fault never returns.
unsafe impl<T> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    /// Holds `value`.
    pub const fn new(value: T) -> Exclusive<T> {
        Exclusive { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `use_it` on the value; `None` if somebody is using it already.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.taken.load(Ordering::Acquire) {
            return None;
        }
        self.taken.store(true, Ordering::Release);
        // SAFETY: `taken` was false, so no other reference exists until it is false again.
        let result = use_it(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        Some(result)
    }
}
