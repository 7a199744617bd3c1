//! What can go wrong with a core of `/dev/mcs`.

use std::io;

use firmware::board::{Region, WINDOW_LEN};

/// Why `/dev/mcs` does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum McsError {
    /// The kernel refused to start the core. It does not say why.
    #[error("core {cpu} was not started: {source}; the kernel's log has the code of psci")]
    CpuOn {
        /// The core.
        cpu: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Something runs on the core that nobody here knows.
    #[error(
        "core {cpu} runs something that is neither linux nor started by micrun: end it where it was started, \
         or reset the board"
    )]
    Foreign {
        /// The core.
        cpu: u32,
    },
    /// Firmware runs on the core that its container could not end.
    #[error(
        "core {cpu} still runs the firmware of {owner}, which did not power itself off: start the same firmware, \
         which then goes on, or reset the board"
    )]
    Lost {
        /// The core.
        cpu: u32,
        /// Whose firmware it was.
        owner: String,
    },
    /// The firmware does not let go of its core.
    #[error(
        "the firmware on core {cpu} does not power itself off: the core is lost until the board is reset or the \
         same firmware is started again"
    )]
    StaysOn {
        /// The core.
        cpu: u32,
    },
    /// The core's part of the shared memory does not exist.
    #[error(
        "core {cpu} cannot be had: it needs {WINDOW_LEN:#x} bytes of shared memory at {cpu} times that, and \
         /dev/mcs has {memory}; core 0 is linux's"
    )]
    NoWindow {
        /// The core.
        cpu: u32,
        /// The shared memory.
        memory: Region,
    },
    /// A segment lies where cores and Linux speak.
    #[error("segment {segment} overlaps the shared memory of the cores ({memory})")]
    Overlaps {
        /// The segment's memory.
        segment: Region,
        /// The shared memory.
        memory: Region,
    },
    /// Memory that the firmware wants is not for firmware.
    #[error(
        "memory {memory} is not in a region that /dev/mcs has: memory-region in the device tree's node \
         oe,mcs_remoteproc, or rmem_base and rmem_size of mcs_km"
    )]
    NotGiven {
        /// What was to be mapped.
        memory: Region,
    },
}

impl McsError {
    /// True if another image or core would be right.
    pub fn is_the_callers(&self) -> bool {
        matches!(self, McsError::NoWindow { .. } | McsError::Overlaps { .. } | McsError::NotGiven { .. })
    }
}
