//! Doorbells by QEMU's device `ivshmem-doorbell`.
//!
//! The device is a client of an "ivshmem server" (QEMU `docs/specs/ivshmem-spec.rst`) that tells it who its peers are
//! and passes an eventfd per interrupt vector. All peers are known before QEMU starts, so our server is a socket with
//! the messages already in it.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair,
};

use super::mailbox::{HOST_PEER, VECTOR_COMMAND, VECTOR_KICK};

/// Interrupt vectors towards the guest.
pub(super) const VECTORS: usize = 2;
const PROTOCOL_VERSION: i64 = 0;
const GUEST_PEER: i64 = 0;
const SHARED_MEMORY: i64 = -1;
/// The device insists on shared memory of its own, a power of two; we use guest RAM instead.
const UNUSED_MEMORY: i64 = 4096;

/// The host's end.
#[derive(Debug)]
pub(super) struct Ivshmem {
    /// Rung by the guest.
    from_guest: EventFd,
    /// Rung by us, one per vector.
    to_guest: [EventFd; VECTORS],
    /// The server's end of the socket: closing it would tell QEMU that the server died.
    _server: OwnedFd,
    /// QEMU's end, inherited by it.
    client: OwnedFd,
}

impl Ivshmem {
    pub(super) fn new() -> nix::Result<Ivshmem> {
        let bell = || EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let (from_guest, to_guest) = (bell()?, [bell()?, bell()?]);
        let memory = memfd_create("micrun-ivshmem", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&memory, UNUSED_MEMORY)?;
        let (server, client) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        send(&server, PROTOCOL_VERSION, None)?;
        send(&server, GUEST_PEER, None)?;
        send(&server, SHARED_MEMORY, Some(memory.as_fd()))?;
        send(&server, HOST_PEER.into(), Some(from_guest.as_fd()))?;
        for vector in &to_guest {
            send(&server, GUEST_PEER, Some(vector.as_fd()))?;
        }
        Ok(Ivshmem { from_guest, to_guest, _server: server, client })
    }

    /// Interrupts the firmware's core.
    pub(super) fn kick(&self) {
        self.ring(VECTOR_KICK);
    }

    /// Wakes the agent.
    pub(super) fn command(&self) {
        self.ring(VECTOR_COMMAND);
    }

    fn ring(&self, vector: u16) {
        // Fails only when 2^64 rings are pending, and then one more changes nothing.
        let _ = self.to_guest[usize::from(vector)].write(1);
    }

    /// Takes the guest's rings; they carry no number that matters.
    pub(super) fn silence(&self) {
        // Fails only if it has not rung.
        let _ = self.from_guest.read();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.from_guest.as_fd()
    }

    pub(super) fn client(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

/// One message of the protocol: eight bytes, little endian, with at most one descriptor.
fn send(server: &OwnedFd, message: i64, descriptor: Option<BorrowedFd<'_>>) -> nix::Result<()> {
    let bytes = message.to_le_bytes();
    let descriptors: Vec<_> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<UnixAddr>(server.as_raw_fd(), &[IoSlice::new(&bytes)], control, MsgFlags::empty(), None)?;
    Ok(())
}
