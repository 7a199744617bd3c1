//! Which core a process runs on. Two that measure each other must not meet on one, nor move between samples.

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
