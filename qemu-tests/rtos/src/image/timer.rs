//! The tick: ten interrupts a second from the virtual timer.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{read_register, write_register};

/// Ticks per second.
const RATE: u64 = 10;

/// Ticks since [`start`]. Written by the interrupt handler only.
static TICKS: AtomicU64 = AtomicU64::new(0);

/// Starts ticking. Without a counter frequency, which the platform has to set, there are no ticks.
pub fn start() {
    let interval = interval();
    if interval > 0 {
        write_register!("CNTV_CVAL_EL0", read_register!("CNTVCT_EL0").wrapping_add(interval));
        write_register!("CNTV_CTL_EL0", 1);
    }
}

/// Stops ticking.
pub fn stop() {
    write_register!("CNTV_CTL_EL0", 0);
}

/// Counts the tick, and those missed while the core was held up, and arms the next one.
pub fn tick() {
    let (interval, due) = (interval().max(1), read_register!("CNTV_CVAL_EL0"));
    let passed = read_register!("CNTVCT_EL0").wrapping_sub(due) / interval + 1;
    write_register!("CNTV_CVAL_EL0", due.wrapping_add(passed.wrapping_mul(interval)));
    TICKS.store(ticks().wrapping_add(passed), Ordering::Relaxed);
}

/// Ticks since [`start`].
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// Counts of the system counter per tick.
fn interval() -> u64 {
    read_register!("CNTFRQ_EL0") / RATE
}
