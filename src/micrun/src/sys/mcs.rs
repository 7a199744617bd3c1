//! The ioctls of `/dev/mcs`, the device of MICA's kernel module `mcs_km`, for bare-metal cores.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// An ioctl that is told something, number `nr` of the device; the size in it is that of an int whatever is copied.
const fn told(nr: u32) -> libc::Ioctl {
    const WRITE: u32 = 1;
    (WRITE << 30 | 4 << 16 | (b'A' as u32) << 8 | nr) as libc::Ioctl
}

const SEND_IPI: libc::Ioctl = told(0);
const CPU_ON: libc::Ioctl = told(1);
const AFFINITY_INFO: libc::Ioctl = told(2);
const QUERY_MEM: libc::Ioctl = told(3);

#[repr(C)]
struct CpuInfo {
    cpu: u32,
    padding: u32,
    entry: u64,
}

/// Interrupts `cpu`: SGI 7.
pub(crate) fn send_ipi(device: BorrowedFd<'_>, cpu: u32) -> io::Result<()> {
    of_cpu(device, SEND_IPI, cpu, 0)
}

/// Starts `cpu` at `entry`. `InvalidInput` for any refusal of PSCI; the kernel's log has its code.
pub(crate) fn cpu_on(device: BorrowedFd<'_>, cpu: u32, entry: u64) -> io::Result<()> {
    of_cpu(device, CPU_ON, cpu, entry)
}

/// True if `cpu` is off.
pub(crate) fn is_off(device: BorrowedFd<'_>, cpu: u32) -> io::Result<bool> {
    off(of_cpu(device, AFFINITY_INFO, cpu, 0))
}

/// What the device means when it is asked whether a core is off.
fn off(answer: io::Result<()>) -> io::Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        // The device's word for "on".
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Base and length of the memory for communication.
pub(crate) fn query_mem(device: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let mut memory = [0u64; 2];
    // SAFETY: the kernel writes two 64-bit words, base and length, through the pointer, which is to live ones.
    check(unsafe { libc::ioctl(device.as_raw_fd(), QUERY_MEM, memory.as_mut_ptr()) }.into())?;
    Ok((memory[0], memory[1]))
}

fn of_cpu(device: BorrowedFd<'_>, request: libc::Ioctl, cpu: u32, entry: u64) -> io::Result<()> {
    let info = CpuInfo { cpu, padding: 0, entry };
    // SAFETY: the three requests that come here read one such structure through the pointer, which is to a live one.
    check(unsafe { libc::ioctl(device.as_raw_fd(), request, &raw const info) }.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_structures_are_those_of_the_abi() {
        let numbers = [SEND_IPI, CPU_ON, AFFINITY_INFO, QUERY_MEM];
        assert_eq!(numbers.map(|number| number as u32), [0x4004_4100, 0x4004_4101, 0x4004_4102, 0x4004_4103]);
        assert_eq!(size_of::<CpuInfo>(), 16);
        assert_eq!(std::mem::offset_of!(CpuInfo, entry), 8);
    }

    #[test]
    fn what_the_device_says_of_a_core_is_on_off_or_an_error() {
        let answer =
            |errno| off(Err(io::Error::from_raw_os_error(errno))).map_err(|error| error.raw_os_error());
        assert!(off(Ok(())).expect("an answer"));
        assert_eq!(answer(libc::EFAULT), Ok(false));
        for errno in [libc::EINVAL, libc::ENOTTY, libc::EINTR, libc::EPERM] {
            assert_eq!(answer(errno), Err(Some(errno)));
        }
    }
}
