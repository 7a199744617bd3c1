//! Stats: what the process that stands for the core has used.

use std::io;

use super::Container;
use crate::pedestal::Process;
use crate::sys::{self, page_size};

/// Resources used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode, nanoseconds.
    pub user: u64,
    /// CPU time in the kernel, nanoseconds.
    pub system: u64,
    /// Resident memory, bytes.
    pub memory: u64,
}

impl Usage {
    /// Both together.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            memory: self.memory + other.memory,
        }
    }
}

impl Container {
    /// Usage now; zeroes if nothing runs.
    pub fn usage(&self) -> Usage {
        self.process().and_then(|process| read(process).ok()).unwrap_or_default()
    }
}

fn read(process: Process) -> io::Result<Usage> {
    let stat = sys::process_stat(process.pid)?;
    let memory = stat.resident * page_size();
    Ok(Usage { user: nanoseconds(stat.user), system: nanoseconds(stat.system), memory })
}

/// Clock ticks to nanoseconds: Linux tells user space a fixed 100 per second (`USER_HZ`).
fn nanoseconds(ticks: u64) -> u64 {
    ticks * 10_000_000
}
