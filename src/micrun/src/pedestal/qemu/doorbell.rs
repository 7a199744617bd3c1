//! Doorbells in both directions, by whatever device the machine has for them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use firmware::board::Machine;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use super::super::MachineError;
use super::ivshmem::Ivshmem;
use super::mailbox::{BYTE_COMMAND, BYTE_KICK};

/// The host's end.
#[derive(Debug)]
pub(super) enum Doorbell {
    /// A PCI device: kicks reach the firmware's core without the agent.
    Ivshmem(Ivshmem),
    /// The first serial line, whose bytes the agent passes on: our end and, inherited by QEMU, the other.
    Serial(OwnedFd, OwnedFd),
}

impl Doorbell {
    pub(super) fn new(machine: Machine) -> Result<Doorbell, MachineError> {
        let made = match machine {
            Machine::Virt => Ivshmem::new().map(Doorbell::Ivshmem),
            Machine::Raspi4b => serial().map(|(ours, theirs)| Doorbell::Serial(ours, theirs)),
        };
        made.map_err(MachineError::system("doorbell"))
    }

    /// Interrupts the firmware's core.
    pub(super) fn kick(&self) {
        match self {
            Doorbell::Ivshmem(device) => device.kick(),
            Doorbell::Serial(ours, _) => write(ours, BYTE_KICK),
        }
    }

    /// Wakes the agent.
    pub(super) fn command(&self) {
        match self {
            Doorbell::Ivshmem(device) => device.command(),
            Doorbell::Serial(ours, _) => write(ours, BYTE_COMMAND),
        }
    }

    /// Takes the guest's rings; they carry no number that matters.
    pub(super) fn silence(&self) {
        match self {
            Doorbell::Ivshmem(device) => device.silence(),
            // Rings that are left are read next time. Fails only if there are none, or no QEMU any more.
            Doorbell::Serial(ours, _) => drop(recv(ours.as_raw_fd(), &mut [0; 256], MsgFlags::MSG_DONTWAIT)),
        }
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        match self {
            Doorbell::Ivshmem(device) => device.bell(),
            Doorbell::Serial(ours, _) => ours.as_fd(),
        }
    }

    /// What QEMU inherits.
    pub(super) fn client(&self) -> BorrowedFd<'_> {
        match self {
            Doorbell::Ivshmem(device) => device.client(),
            Doorbell::Serial(_, theirs) => theirs.as_fd(),
        }
    }
}

fn serial() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
}

/// Fails only if the line is full of bytes that say the same, or QEMU is gone.
fn write(line: &OwnedFd, byte: u8) {
    let _ = send(line.as_raw_fd(), &[byte], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
}
