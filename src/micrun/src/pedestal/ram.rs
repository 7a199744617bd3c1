//! RAM of an emulated board: a sparse memfd that the emulator and we map. It has no name and ends with its last user.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use shmem::{Mapping, Memory};

use super::MachineError;
use firmware::board::{Machine, Region};

/// Where RAM of QEMU's `virt` board begins (`hw/arm/virt.c`), and as much as reaches the end of the firmware region at
/// 0x7e000000, rounded up. Only touched pages cost anything.
const VIRT: Region = Region { base: 0x4000_0000, len: 0x4000_0000 };
/// The machine `raspi4b` has 2 GiB, and nothing else (`hw/arm/raspi4b.c`).
const RASPI4B: Region = Region { base: 0, len: 0x8000_0000 };

/// The memfd.
#[derive(Debug)]
pub(super) struct Ram {
    file: OwnedFd,
    region: Region,
}

impl Ram {
    pub(super) fn new(machine: Machine) -> Result<Ram, MachineError> {
        let region = match machine {
            Machine::Virt => VIRT,
            Machine::Raspi4b => RASPI4B,
        };
        let what = "guest memory";
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = memfd_create("micrun-ram", flags).map_err(MachineError::system(what))?;
        nix::unistd::ftruncate(&file, region.len as i64).map_err(MachineError::system(what))?;
        // An emulator that is taken over must not shrink the file under our mapping (SIGBUS).
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(MachineError::system(what))?;
        Ok(Ram { file, region })
    }

    /// Maps `len` bytes at guest physical address `pa`.
    pub(super) fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError> {
        let outside = || MachineError::System { what: "guest memory", source: nix::Error::EFAULT.into() };
        let offset = pa.checked_sub(self.region.base).ok_or_else(outside)?;
        if !self.region.contains(Region { base: pa, len: len as u64 }) {
            return Err(outside());
        }
        Mapping::new(self.file.as_fd(), offset, len).map_err(MachineError::system("mapping guest memory"))
    }

    /// Writes `bytes` at `pa`, a page boundary, before the machine runs.
    pub(super) fn write(&self, pa: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let mapping = self.map(pa, bytes.len())?;
        let fault = |fault: shmem::Fault| MachineError::System {
            what: "guest memory",
            source: std::io::Error::other(fault.to_string()),
        };
        mapping.window().copy_in(0, bytes).map_err(fault)
    }

    /// Its length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.region.len
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
