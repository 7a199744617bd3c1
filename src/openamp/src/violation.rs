//! What the other side can do wrong in shared memory.

use shmem::Fault;

use crate::rpmsg::BadAnnouncement;

/// The peer broke the protocol; the link is not to be used any further.
///
/// `vring` is 0 for remote-to-host, 1 for host-to-remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The device claims to have used more buffers than it was given.
    #[error("vring {vring}: used index {index} is {ahead} ahead of {last}, queue size {num}")]
    UsedIndex {
        /// Which ring.
        vring: u8,
        /// The index the device wrote.
        index: u16,
        /// How far that is past the last one handled.
        ahead: u16,
        /// The last one handled.
        last: u16,
        /// Descriptors in the ring.
        num: u16,
    },
    /// A used element names no descriptor that the device holds.
    #[error(
        "vring {vring}: used element names descriptor {id}, which the device does not hold (queue size {num})"
    )]
    UsedId {
        /// Which ring.
        vring: u8,
        /// The id the device wrote.
        id: u32,
        /// Descriptors in the ring.
        num: u16,
    },
    /// The driver claims to have offered more buffers than the ring holds.
    #[error("vring {vring}: available index {index} is {ahead} ahead of {last}, queue size {num}")]
    AvailableIndex {
        /// Which ring.
        vring: u8,
        /// The index the driver wrote.
        index: u16,
        /// How far that is past the last one handled.
        ahead: u16,
        /// The last one handled.
        last: u16,
        /// Descriptors in the ring.
        num: u16,
    },
    /// An available element names a descriptor outside the ring.
    #[error("vring {vring}: available element names descriptor {id}, queue size {num}")]
    AvailableId {
        /// Which ring.
        vring: u8,
        /// The id the driver wrote.
        id: u16,
        /// Descriptors in the ring.
        num: u16,
    },
    /// A descriptor is chained or indirect, which RPMsg never uses.
    #[error("vring {vring}: descriptor {id} has flags {flags:#x}, RPMsg uses single buffers only")]
    Chained {
        /// Which ring.
        vring: u8,
        /// The descriptor.
        id: u16,
        /// Its flags.
        flags: u16,
    },
    /// A buffer does not lie in the shared window, or is too small for a header.
    #[error(
        "vring {vring}: buffer of {len} bytes at {addr:#x} is not a message buffer inside the shared memory"
    )]
    Buffer {
        /// Which ring.
        vring: u8,
        /// Device address from the descriptor.
        addr: u64,
        /// Length from the descriptor.
        len: u32,
    },
    /// A message says it is longer than the buffer it came in.
    #[error("rpmsg message of {len} bytes does not fit its buffer, which has room for {room}")]
    MessageLength {
        /// Payload length from the header.
        len: u16,
        /// Payload bytes that the buffer can hold.
        room: u32,
    },
    /// The live resource table puts a ring where none can be, or not where the host put it.
    #[error("vring {vring} is said to be at {address:#x}, where it cannot be")]
    RingAddress {
        /// Which ring.
        vring: u8,
        /// The address in the table.
        address: u32,
    },
    /// The live resource table is not that of the firmware file.
    #[error("live resource table: {value:#x} at offset {at:#x}, the firmware file says {expected:#x}")]
    TableChanged {
        /// Offset in the table.
        at: usize,
        /// What is there.
        value: u32,
        /// What should be.
        expected: u32,
    },
    /// The endpoint table claims to hold more endpoints than it has room for.
    #[error("endpoint table: {0} endpoints, it has room for 64")]
    EndpointCount(u32),
    /// A slot of the endpoint table holds what no host wrote.
    #[error("endpoint table: slot {slot}: {field} is {value:#x}, {expected}")]
    EndpointSlot {
        /// Which slot.
        slot: usize,
        /// Field of the slot.
        field: &'static str,
        /// Its value.
        value: u32,
        /// What would be right.
        expected: &'static str,
    },
    /// A slot of the endpoint table has a name that is none.
    #[error("endpoint table: slot {slot}: {why}")]
    EndpointName {
        /// Which slot.
        slot: usize,
        /// What is wrong with it.
        why: BadAnnouncement,
    },
    /// A debug ring's counters are further apart than the ring is long.
    #[error("debug ring {ring}: {written:#x} bytes written and {read:#x} read, it has room for {len}")]
    DebugRing {
        /// 0 for firmware-to-host, 1 for host-to-firmware.
        ring: u8,
        /// Bytes ever written, modulo 2^32.
        written: u32,
        /// Bytes ever read, modulo 2^32.
        read: u32,
        /// Bytes that it holds.
        len: u32,
    },
    /// A buffer was released that is not held: a local mistake, never the peer's.
    #[error("vring {vring}: buffer {id} is not ours to offer")]
    NotOurs {
        /// Which ring.
        vring: u8,
        /// The buffer.
        id: u16,
    },
    /// The rings do not fit the memory they were placed in: a local mistake, never the peer's.
    #[error(transparent)]
    Fault(#[from] Fault),
}
