//! The live resource table, where host and firmware meet.

use core::cell::UnsafeCell;

use openamp::state::{CPU_OFF, REPORT_WORD, Report, STATE_WORD, State};
use shmem::{Fault, Memory, Window, barrier};
use test_rtos::resource_table::{LEN, WORDS};

/// Eight bytes: what hosts that map the table as device memory want.
#[repr(C, align(8))]
struct Table(UnsafeCell<[u32; WORDS.len()]>);

// SAFETY: nobody makes references to the words; they are only reached through `window`.
unsafe impl Sync for Table {}

#[used]
#[unsafe(link_section = ".resource_table")]
static TABLE: Table = Table(UnsafeCell::new(WORDS));

/// The table as memory that the host writes too.
pub fn window() -> Window<'static> {
    // SAFETY: the static lives for ever, and is touched through this window alone.
    unsafe { Window::from_raw(TABLE.0.get().cast(), LEN) }
}

/// The state word, as the host last wrote it.
pub fn state() -> u32 {
    barrier::full();
    // The offset is inside the table: it is part of its header.
    window().load_u32(STATE_WORD).unwrap_or(0)
}

/// Tells the host that the rings it asked for are forgotten.
pub fn announce_reset() -> Result<(), Fault> {
    State::Quiet.write(&window())
}

/// Says why the core goes off, then that it does.
pub fn announce_off(report: Report) {
    let window = window();
    // Neither store can fail: both words are part of the header.
    let _ = window.store_u32(REPORT_WORD, report.encode());
    barrier::write();
    let _ = window.store_u32(STATE_WORD, CPU_OFF);
}
