//! Which core a process runs on, and before whom. Two that measure each other must not meet on one, nor move between samples.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Keeps this thread, and what it starts, on core `index`.
///
/// # Errors
/// The machine has no such core.
pub fn stay_on(index: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(index);
    sched_setaffinity(None, &cores).with_context(|| format!("core {index}"))
}

/// Has this process, and what it starts, run before the others of the machine, if it may.
pub fn come_first() {
    let _ = rustix::process::setpriority_process(None, -20);
}
