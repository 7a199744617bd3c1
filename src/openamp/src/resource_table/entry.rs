//! What the entries of a table say: the standard ones of remoteproc and the vendor ones of MICA.

use super::bytes::{Label, bytes, expect, label, long, within, word};
use super::{ADDR_ANY, ENDPOINTS_LEN, TableError, VDEV_LEN, VRING_LEN};
use crate::rpmsg::MAX_ENDPOINTS;

const CARVEOUT: u32 = 0;
const DEVMEM: u32 = 1;
const TRACE: u32 = 2;
const VDEV: u32 = 3;
const ENDPOINTS: u32 = 128;
const RING_BUFFERS: u32 = 129;
const VRING_OFFSETS: u32 = 130;
const XENSTORE: u32 = 131;

const REGION_LEN: usize = 56;
const TRACE_LEN: usize = 48;
const RING_BUFFERS_LEN: usize = 40;
const VRING_OFFSETS_LEN: usize = 36;
/// Two ring headers of 16 bytes and one byte of data each.
const MIN_RING_BUFFERS: u64 = 34;

/// One entry, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Memory that the firmware wants set aside (type 0).
    Carveout(Region),
    /// Device memory that the firmware wants mapped (type 1).
    Devmem(Region),
    /// A buffer that the firmware logs to (type 2).
    Trace(Trace),
    /// A virtio device (type 3).
    Vdev(Vdev),
    /// MICA: room for the endpoints of a running firmware (type 128), of which so many are filled in.
    Endpoints(u32),
    /// MICA: a pair of ring buffers for debugging (type 129).
    RingBuffers(RingBuffers),
    /// MICA under Xen: offsets of the vrings from the start of the shared memory (type 130).
    VringOffsets([u32; 8]),
    /// MICA: a number without a defined content (type 131).
    Xenstore,
    /// A type that means nothing here; Linux and OpenAMP skip it too.
    Unknown(u32),
}

/// A range of memory. Addresses are [`ADDR_ANY`] where the host may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address as the firmware sees it.
    pub da: u32,
    /// Physical address.
    pub pa: u32,
    /// Bytes.
    pub len: u32,
    /// Flags for an IOMMU.
    pub flags: u32,
    /// What it is for.
    pub name: Label,
}

/// A log buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Address as the firmware sees it.
    pub da: u32,
    /// Bytes.
    pub len: u32,
    /// What it is for.
    pub name: Label,
}

/// A virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vdev {
    /// Virtio device id, 7 for RPMsg.
    pub id: u32,
    /// Id for kicks that concern the device as a whole.
    pub notify_id: u32,
    /// Features that the firmware offers.
    pub features: u32,
    /// Vrings that follow the entry.
    pub vrings: u8,
    /// Bytes of configuration that follow the vrings.
    pub config_len: u32,
}

/// The debugger's pair of byte rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingBuffers {
    /// Address as the firmware sees it, 0 until the host has chosen one.
    pub da: u64,
    /// Physical address, 0 until the host has chosen one.
    pub pa: u64,
    /// Bytes of both rings together, their headers of 16 bytes included.
    pub len: u64,
    /// State byte, 0 until the host has initialised them.
    pub state: u8,
}

impl Entry {
    /// Reads the entry at `at`; gives it and its end.
    pub(super) fn read(table: &[u8], at: usize) -> Result<(Entry, usize), TableError> {
        let kind = word(table, "entry", at)?;
        let end = |len| within(table, "entry", at, len);
        Ok(match kind {
            CARVEOUT => (Entry::Carveout(region(table, at)?), end(REGION_LEN)?),
            DEVMEM => (Entry::Devmem(region(table, at)?), end(REGION_LEN)?),
            TRACE => (Entry::Trace(trace(table, at)?), end(TRACE_LEN)?),
            VDEV => {
                let (vdev, end) = vdev(table, at)?;
                (Entry::Vdev(vdev), end)
            }
            ENDPOINTS => (Entry::Endpoints(endpoints(table, at)?), end(ENDPOINTS_LEN)?),
            RING_BUFFERS => (Entry::RingBuffers(ring_buffers(table, at)?), end(RING_BUFFERS_LEN)?),
            VRING_OFFSETS => (Entry::VringOffsets(vring_offsets(table, at)?), end(VRING_OFFSETS_LEN)?),
            XENSTORE => (Entry::Xenstore, end(4)?),
            other => (Entry::Unknown(other), end(4)?),
        })
    }
}

/// `type, da, pa, len, flags, reserved, name`.
fn region(table: &[u8], at: usize) -> Result<Region, TableError> {
    let field = |offset| word(table, "memory entry", at + offset);
    let (da, len) = (field(4)?, field(12)?);
    expect("memory entry length", len, |len| in_address_space(da, len), "it ends beyond 4 GiB")?;
    expect("memory entry reserved word", field(20)?, |value| value == 0, "it must be 0")?;
    let name = label(table, "memory entry", at + 24)?;
    Ok(Region { da, pa: field(8)?, len, flags: field(16)?, name })
}

/// `type, da, len, reserved, name`.
fn trace(table: &[u8], at: usize) -> Result<Trace, TableError> {
    let field = |offset| word(table, "trace entry", at + offset);
    let (da, len) = (field(4)?, field(8)?);
    expect("trace length", len, |len| in_address_space(da, len), "it ends beyond 4 GiB")?;
    expect("trace reserved word", field(12)?, |value| value == 0, "it must be 0")?;
    Ok(Trace { da, len, name: label(table, "trace entry", at + 16)? })
}

/// `type, id, notifyid, dfeatures, gfeatures, config_len, status, vrings, reserved[2]`, vrings, configuration.
fn vdev(table: &[u8], at: usize) -> Result<(Vdev, usize), TableError> {
    let field = |offset| word(table, "vdev entry", at + offset);
    let [_status, vrings, reserved @ ..] = field(24)?.to_le_bytes();
    let reserved = u16::from_le_bytes(reserved);
    expect("vdev reserved field", reserved.into(), |value| value == 0, "it must be 0")?;
    let config_len = field(20)?;
    let config = within(table, "vdev vrings", at, VDEV_LEN + VRING_LEN * usize::from(vrings))?;
    let end = within(table, "vdev config space", config, config_len as usize)?;
    Ok((Vdev { id: field(4)?, notify_id: field(8)?, features: field(12)?, vrings, config_len }, end))
}

/// `type, count`, then 64 endpoints.
fn endpoints(table: &[u8], at: usize) -> Result<u32, TableError> {
    let count = word(table, "endpoint table", at + 4)?;
    expect("endpoint count", count, |count| count as usize <= MAX_ENDPOINTS, "there is room for 64")?;
    Ok(count)
}

/// `type, flags, u64 da, u64 pa, u64 len, u8 state, reserved[7]`.
fn ring_buffers(table: &[u8], at: usize) -> Result<RingBuffers, TableError> {
    let field = |offset| long(table, "ring buffer entry", at + offset);
    let len = field(24)?;
    let shown = u32::try_from(len).unwrap_or(u32::MAX);
    let holds = |_| len.is_multiple_of(2) && (MIN_RING_BUFFERS..u32::MAX.into()).contains(&len);
    expect("ring buffer length", shown, holds, "it must be even and have room for two headers of 16 bytes")?;
    let [state] = bytes(table, "ring buffer entry", at + 32)?;
    Ok(RingBuffers { da: field(8)?, pa: field(16)?, len, state })
}

/// `type, offset[8]`.
fn vring_offsets(table: &[u8], at: usize) -> Result<[u32; 8], TableError> {
    let mut offsets = [0; 8];
    for (index, offset) in offsets.iter_mut().enumerate() {
        *offset = word(table, "vring offset entry", at + 4 + 4 * index)?;
    }
    Ok(offsets)
}

fn in_address_space(da: u32, len: u32) -> bool {
    da == ADDR_ANY || u64::from(da) + u64::from(len) <= 1 << 32
}
