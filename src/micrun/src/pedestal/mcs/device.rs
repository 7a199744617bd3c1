//! `/dev/mcs`: memory, interrupts and power of cores beside Linux.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use shmem::Mapping;

use super::super::MachineError;
use super::error::McsError;
use crate::sys::mcs;
use firmware::board::Region;

const PATH: &str = "/dev/mcs";
const OPEN: &str = "/dev/mcs, of the kernel module mcs_km";

/// The open device. Its `poll` takes the one flag there is; see [`super::bell`].
#[derive(Debug)]
pub(in super::super) struct Device {
    file: File,
}

impl Device {
    pub(in super::super) fn open() -> Result<Device, MachineError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_SYNC);
        let file = options.open(PATH).map_err(MachineError::system(OPEN))?;
        Ok(Device { file })
    }

    /// Memory for communication with all cores.
    pub(super) fn communication(&self) -> Result<Region, MachineError> {
        let queried = mcs::query_mem(self.file.as_fd());
        let (base, len) = queried.map_err(MachineError::system("/dev/mcs, asked for its memory"))?;
        Ok(Region { base, len })
    }

    /// Maps physical memory, as far as the device was given it.
    pub(super) fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError> {
        let outside = || McsError::NotGiven { memory: Region { base: pa, len: len as u64 } };
        Mapping::new(self.file.as_fd(), pa, len).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => outside().into(),
            _ => MachineError::system("/dev/mcs, mapping memory")(error),
        })
    }

    /// Interrupts the core. The kernel tells of no failure but a bad argument.
    pub(super) fn kick(&self, cpu: u32) {
        if let Err(error) = mcs::send_ipi(self.file.as_fd(), cpu) {
            log::error!("core {cpu} cannot be interrupted: {error}");
        }
    }

    /// Starts the core.
    pub(super) fn cpu_on(&self, cpu: u32, entry: u64) -> Result<(), MachineError> {
        mcs::cpu_on(self.file.as_fd(), cpu, entry).map_err(|source| McsError::CpuOn { cpu, source }.into())
    }

    /// True if the core is off.
    pub(in super::super) fn is_off(&self, cpu: u32) -> Result<bool, MachineError> {
        mcs::is_off(self.file.as_fd(), cpu)
            .map_err(MachineError::system("/dev/mcs, asked whether the core is on"))
    }

    /// Readable when any core has interrupted Linux, for the first who looks.
    pub(super) fn pollable(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
