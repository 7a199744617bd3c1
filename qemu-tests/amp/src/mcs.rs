//! `/dev/mcs` as user space sees it: numbers and structures of the ABI, byte for byte.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shmem::Mapping;

/// The device.
pub const DEVICE: &str = "/dev/mcs";

/// The numbers of the calls. The sizes in the first four are not those of what is copied.
pub const SEND_IPI: u32 = 0x4004_4100;
pub const CPU_ON: u32 = 0x4004_4101;
pub const AFFINITY_INFO: u32 = 0x4004_4102;
pub const QUERY_MEM: u32 = 0x4004_4103;
pub const COPY_MSG_MEM: u32 = 0xc028_4104;
pub const SET_TYPE: u32 = 0x4004_4105;

/// Pedestal types of a file.
pub const BARE_METAL: i32 = 0;
pub const RISCV: i32 = 1;

/// Room for the longest structure.
type Words = [u64; 5];

/// An open file.
pub struct Mcs {
    file: File,
}

impl Mcs {
    /// Opens the device as the ABI's user does.
    pub fn open() -> io::Result<Mcs> {
        Ok(Mcs { file: OpenOptions::new().read(true).write(true).open(DEVICE)? })
    }

    /// Any call, with any words.
    pub fn call(&self, number: u32, words: &mut Words) -> io::Result<()> {
        // SAFETY: the kernel copies at most 40 bytes, which is what `words` has.
        unsafe { self.call_at(number, words.as_mut_ptr()) }
    }

    /// Any call with a pointer to nothing.
    pub fn call_with_null(&self, number: u32) -> io::Result<()> {
        // SAFETY: nothing is mapped at 0, so the kernel copies nothing.
        unsafe { self.call_at(number, std::ptr::null_mut()) }
    }

    /// # Safety
    /// Where anything is mapped at `pointer`, 40 bytes are, and they may be written.
    unsafe fn call_at(&self, number: u32, pointer: *mut u64) -> io::Result<()> {
        // SAFETY: the caller's; the descriptor is open.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), number as _, pointer) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// `cpu_info`: the number, padding, the boot address.
    fn cpu(&self, number: u32, cpu: u32, boot_address: u64) -> io::Result<()> {
        self.call(number, &mut [cpu.into(), boot_address, 0, 0, 0])
    }

    pub fn set_type(&self, pedestal: i32) -> io::Result<()> {
        self.call(SET_TYPE, &mut [pedestal.cast_unsigned().into(), 0, 0, 0, 0])
    }

    pub fn send_ipi(&self, cpu: u32) -> io::Result<()> {
        self.cpu(SEND_IPI, cpu, 0)
    }

    pub fn cpu_on(&self, cpu: u32, entry: u64) -> io::Result<()> {
        self.cpu(CPU_ON, cpu, entry)
    }

    /// Succeeds if the core is off.
    pub fn affinity_info(&self, cpu: u32) -> io::Result<()> {
        self.cpu(AFFINITY_INFO, cpu, 0)
    }

    /// Base and size of the first region.
    pub fn query_mem(&self) -> io::Result<(u64, u64)> {
        let mut words = [0; 5];
        self.call(QUERY_MEM, &mut words)?;
        Ok((words[0], words[1]))
    }

    /// Maps physical memory.
    pub fn map(&self, address: u64, len: usize) -> io::Result<Mapping> {
        Mapping::new(self.file.as_fd(), address, len)
    }

    /// Whether the doorbell has rung, or rings within `wait`. That is the end of that ring, for everybody.
    pub fn rung(&self, wait: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        poll(&mut polled, Some(&wait))?;
        let expected = PollFlags::IN;
        Ok(polled[0].revents().contains(expected))
    }
}
