//! The resource table: what firmware asks of its host, and where host and firmware meet while it runs.
//!
//! [`parse`] turns the bytes of an ELF's `.resource_table` section into a [`Layout`] once; afterwards the *live* table
//! in the firmware's memory is touched only through the offsets found then, never parsed again. [`entries()`] shows all
//! entries. Format: Linux `include/linux/remoteproc.h`, OpenAMP `remoteproc.h`; vendor entries: MICA. It knows 32-bit
//! addresses only; the 64-bit fields of MICA's ring buffers may lie on any multiple of four.

mod bytes;
mod entries;
mod entry;
mod error;
mod live;

pub use bytes::Label;
pub use entries::{Entries, entries};
pub use entry::{Entry, Region, RingBuffers, Trace, Vdev};
pub use error::TableError;
pub use live::{ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, FEATURES_OK, NEEDS_RESET};

use crate::vring;
use bytes::{expect, word};

/// A table may be at most one page: MICA's pedestals that copy it have no more room.
pub const MAX_LEN: usize = 4096;
/// More entries than any real table has; bounds the work per table.
pub const MAX_ENTRIES: u32 = 32;
/// `vring.da` that leaves the address to the host (`FW_RSC_ADDR_ANY`).
pub const ADDR_ANY: u32 = u32::MAX;

const HEADER_LEN: usize = 16;
const VDEV_LEN: usize = 28;
const VRING_LEN: usize = 20;
/// MICA's endpoint table: type, count and 64 slots of 40 bytes.
const ENDPOINTS_LEN: usize = 2568;
const VIRTIO_ID_RPMSG: u32 = 7;
const FEATURE_NAME_SERVICE: u32 = 1;
const MAX_ALIGN: u32 = 4096;

/// What the vdev entry says of one vring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VringEntry {
    /// Descriptors, a power of two up to [`vring::MAX_NUM`].
    pub num: u16,
    /// Alignment of the used ring in bytes, a power of two.
    pub align: u32,
    /// Id for kicks of this ring.
    pub notify_id: u32,
}

/// A checked table: where its vdev entry lies and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    len: usize,
    vdev: usize,
    features: u32,
    vrings: [VringEntry; 2],
    endpoints: Option<usize>,
    /// Where the entry of the debug rings begins, and how many bytes they take.
    debug_rings: Option<(usize, usize)>,
}

impl Layout {
    /// Length of the table in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The two vrings: 0 remote to host, 1 host to remote.
    pub fn vrings(&self) -> &[VringEntry; 2] {
        &self.vrings
    }

    /// True if the firmware announces its endpoints by name.
    pub fn name_service(&self) -> bool {
        self.features & FEATURE_NAME_SERVICE != 0
    }

    /// Bytes of MICA's two [debug rings](crate::debug_ring), if the firmware has any.
    pub fn debug_rings_len(&self) -> Option<usize> {
        self.debug_rings.map(|(_, len)| len)
    }

    /// Where MICA's endpoint table begins, if there is one.
    pub(crate) fn endpoints(&self) -> Option<usize> {
        self.endpoints
    }
}

/// Checks a table as it stands in the ELF file. The first vdev has to be the RPMsg device; of several endpoint tables or
/// pairs of debug rings the first counts.
pub fn parse(table: &[u8]) -> Result<Layout, TableError> {
    let (mut vdev, mut endpoints, mut debug_rings) = (None, None, None);
    for entry in entries(table)? {
        match entry? {
            (at, Entry::Vdev(entry)) => vdev = vdev.or(Some((at, entry))),
            (at, Entry::Endpoints(_)) => endpoints = endpoints.or(Some(at)),
            // Shorter than 4 GiB.
            (at, Entry::RingBuffers(rings)) => debug_rings = debug_rings.or(Some((at, rings.len as usize))),
            _ => {}
        }
    }
    let (at, vdev) = vdev.ok_or(TableError::NoVdev)?;
    expect("vdev id", vdev.id, |id| id == VIRTIO_ID_RPMSG, "it must be 7 (rpmsg)")?;
    expect("vdev vring count", vdev.vrings.into(), |count| count == 2, "rpmsg has 2")?;
    let vrings = [parse_vring(table, at + VDEV_LEN)?, parse_vring(table, at + VDEV_LEN + VRING_LEN)?];
    let duplicate = vrings[0].notify_id == vrings[1].notify_id && vrings[0].notify_id != ADDR_ANY;
    expect("vring 1 notify id", vrings[1].notify_id, |_| !duplicate, "vring 0 has the same")?;
    Ok(Layout { len: table.len(), vdev: at, features: vdev.features, vrings, endpoints, debug_rings })
}

fn parse_vring(table: &[u8], at: usize) -> Result<VringEntry, TableError> {
    let field = |offset| word(table, "vring", at + offset);
    expect(
        "vring address",
        field(0)?,
        |da| da == ADDR_ANY,
        "only 0xffffffff (the host chooses) is supported",
    )?;
    let align = field(4)?;
    expect(
        "vring alignment",
        align,
        |align| align.is_power_of_two() && (4..=MAX_ALIGN).contains(&align),
        "it must be a power of two from 4 to 4096",
    )?;
    let num = field(8)?;
    let num = u16::try_from(num).ok().filter(|num| num.is_power_of_two() && *num <= vring::MAX_NUM).ok_or(
        TableError::Field {
            field: "vring size",
            value: num,
            expected: "it must be a power of two up to 256",
        },
    )?;
    Ok(VringEntry { num, align, notify_id: field(12)? })
}

#[cfg(test)]
mod tests;
