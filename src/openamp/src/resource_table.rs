//! The resource table: what firmware asks of its host, and where host and firmware meet while it runs.
//!
//! [`parse`] turns the bytes of an ELF's `.resource_table` section into a [`Layout`] once; afterwards the *live* table
//! in the firmware's memory is touched only through the offsets found then, never parsed again. Format: Linux
//! `include/linux/remoteproc.h`, OpenAMP `remoteproc.h`; vendor entries: MICA.

use shmem::{Fault, Memory};

use crate::vring;

/// A table may be at most one page: MICA's pedestals that copy it have no more room.
pub const MAX_LEN: usize = 4096;
/// More entries than any real table has; bounds the work per table.
pub const MAX_ENTRIES: u32 = 32;
/// `vring.da` that leaves the address to the host (`FW_RSC_ADDR_ANY`).
pub const ADDR_ANY: u32 = u32::MAX;
/// Virtio status bit: the driver is ready, the rings may be used.
pub const DRIVER_OK: u8 = 4;

const HEADER_LEN: usize = 16;
const VDEV_LEN: usize = 28;
const VRING_LEN: usize = 20;
const VIRTIO_ID_RPMSG: u32 = 7;
const FEATURE_NAME_SERVICE: u32 = 1;
const MAX_ALIGN: u32 = 4096;

const TYPE_CARVEOUT: u32 = 0;
const TYPE_DEVMEM: u32 = 1;
const TYPE_TRACE: u32 = 2;
const TYPE_VDEV: u32 = 3;
const TYPE_ENDPOINTS: u32 = 128;
const TYPE_RING_BUFFERS: u32 = 129;
const TYPE_VRING_OFFSETS: u32 = 130;
const TYPE_VENDOR: core::ops::RangeInclusive<u32> = 128..=512;

/// Why a table is refused. Offsets are bytes from the start of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Longer than [`MAX_LEN`].
    #[error("resource table is {0} bytes long, at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// Something lies outside the table.
    #[error("resource table: {what} at offset {at:#x} does not fit the table of {len:#x} bytes")]
    Outside {
        /// What was looked for.
        what: &'static str,
        /// Where.
        at: usize,
        /// Length of the table.
        len: usize,
    },
    /// A field has a value that the host cannot work with.
    #[error("resource table: {field} is {value:#x}, {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// What would be right.
        expected: &'static str,
    },
    /// No vdev entry: there is nothing to talk over.
    #[error("resource table has no rpmsg vdev entry (type 3)")]
    NoVdev,
}

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

    /// Tells the firmware where its rings are and which features are accepted. `table` is the live table.
    pub fn write_vrings(&self, table: &impl Memory, addresses: [u32; 2]) -> Result<(), Fault> {
        for (index, address) in addresses.into_iter().enumerate() {
            table.store_u32(self.vring(index), address)?;
        }
        table.store_u32(self.vdev + 16, self.features & FEATURE_NAME_SERVICE)
    }

    /// Writes the virtio status byte; [`DRIVER_OK`] lets the firmware use the rings.
    pub fn write_status(&self, table: &impl Memory, status: u8) -> Result<(), Fault> {
        table.store_u8(self.vdev + 24, status)
    }

    /// Reads the virtio status byte.
    pub fn read_status(&self, table: &impl Memory) -> Result<u8, Fault> {
        table.load_u8(self.vdev + 24)
    }

    /// Reads the address of one vring (0 or 1) that the host wrote.
    pub fn read_vring(&self, table: &impl Memory, index: usize) -> Result<u32, Fault> {
        table.load_u32(self.vring(index))
    }

    fn vring(&self, index: usize) -> usize {
        self.vdev + VDEV_LEN + VRING_LEN * index
    }
}

/// Checks a table as it stands in the ELF file.
pub fn parse(table: &[u8]) -> Result<Layout, TableError> {
    if table.len() > MAX_LEN {
        return Err(TableError::TooLong(table.len()));
    }
    expect("version", word(table, "header", 0)?, |version| version == 1, "only version 1 exists")?;
    let entries = word(table, "header", 4)?;
    expect("entry count", entries, |count| count <= MAX_ENTRIES, "at most 32 are allowed")?;
    for (field, at) in [("reserved[0]", 8), ("reserved[1]", 12)] {
        expect(field, word(table, "header", at)?, |value| value == 0, "it must be 0 in the file")?;
    }
    let mut vdev = None;
    for entry in 0..entries as usize {
        let at = word(table, "entry offset", HEADER_LEN + 4 * entry)? as usize;
        expect("entry offset", at as u32, |at| at % 4 == 0, "it must be a multiple of 4")?;
        let kind = word(table, "entry", at)?;
        within(table, "entry", at, entry_len(kind)?)?;
        if kind == TYPE_VDEV && vdev.is_none() {
            vdev = Some(at);
        }
    }
    parse_vdev(table, vdev.ok_or(TableError::NoVdev)?)
}

fn parse_vdev(table: &[u8], at: usize) -> Result<Layout, TableError> {
    let field = |offset| word(table, "vdev entry", at + offset);
    expect("vdev id", field(4)?, |id| id == VIRTIO_ID_RPMSG, "it must be 7 (rpmsg)")?;
    let counts = field(24)?.to_le_bytes();
    expect("vdev vring count", counts[1].into(), |count| count == 2, "rpmsg has 2")?;
    let vrings = [parse_vring(table, at + VDEV_LEN)?, parse_vring(table, at + VDEV_LEN + VRING_LEN)?];
    let duplicate = vrings[0].notify_id == vrings[1].notify_id && vrings[0].notify_id != ADDR_ANY;
    expect("vring 1 notify id", vrings[1].notify_id, |_| !duplicate, "vring 0 has the same")?;
    within(table, "vdev config space", at + VDEV_LEN + 2 * VRING_LEN, field(20)? as usize)?;
    Ok(Layout { len: table.len(), vdev: at, features: field(12)?, vrings })
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

/// Bytes that an entry has at least, by its type.
fn entry_len(kind: u32) -> Result<usize, TableError> {
    match kind {
        TYPE_CARVEOUT | TYPE_DEVMEM => Ok(56),
        TYPE_TRACE => Ok(48),
        TYPE_VDEV => Ok(VDEV_LEN),
        TYPE_ENDPOINTS => Ok(2568),
        TYPE_RING_BUFFERS => Ok(40),
        TYPE_VRING_OFFSETS => Ok(36),
        other if TYPE_VENDOR.contains(&other) => Ok(4),
        value => {
            Err(TableError::Field { field: "entry type", value, expected: "0 to 3 and 128 to 512 are known" })
        }
    }
}

fn expect(
    field: &'static str,
    value: u32,
    holds: impl FnOnce(u32) -> bool,
    expected: &'static str,
) -> Result<(), TableError> {
    if holds(value) { Ok(()) } else { Err(TableError::Field { field, value, expected }) }
}

fn within(table: &[u8], what: &'static str, at: usize, len: usize) -> Result<(), TableError> {
    let fits = at.checked_add(len).is_some_and(|end| end <= table.len());
    if fits { Ok(()) } else { Err(TableError::Outside { what, at, len: table.len() }) }
}

fn word(table: &[u8], what: &'static str, at: usize) -> Result<u32, TableError> {
    let bytes = at.checked_add(4).and_then(|end| table.get(at..end));
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or(TableError::Outside { what, at, len: table.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The 88-byte table that `mica-abi` gives as the smallest useful one: header, one vdev, two vrings of 8.
    fn minimal() -> Vec<u8> {
        let words: [u32; 22] =
            [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, ADDR_ANY, 4, 8, 0, 0, ADDR_ANY, 4, 8, 1, 0];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn with_word(at: usize, value: u32) -> Result<Layout, TableError> {
        let mut table = minimal();
        table[at..at + 4].copy_from_slice(&value.to_le_bytes());
        parse(&table)
    }

    #[test]
    fn the_minimal_table_is_accepted() {
        let layout = parse(&minimal()).expect("the reference table");
        assert_eq!(layout.vrings()[1], VringEntry { num: 8, align: 4, notify_id: 1 });
        assert!(layout.name_service());
        assert_eq!(layout.len(), 88);
    }

    #[test]
    fn each_bad_field_is_named() {
        let text = |at, value| with_word(at, value).expect_err("a bad field").to_string();
        assert_eq!(text(0, 2), "resource table: version is 0x2, only version 1 exists");
        assert_eq!(text(4, 0), "resource table has no rpmsg vdev entry (type 3)");
        assert_eq!(text(4, 33), "resource table: entry count is 0x21, at most 32 are allowed");
        assert_eq!(text(8, 1), "resource table: reserved[0] is 0x1, it must be 0 in the file");
        assert_eq!(
            text(0x10, 0xffff_fff0),
            "resource table: entry at offset 0xfffffff0 does not fit the table of 0x58 bytes"
        );
        assert_eq!(text(0x10, 0x15), "resource table: entry offset is 0x15, it must be a multiple of 4");
        assert_eq!(text(0x14, 9), "resource table: entry type is 0x9, 0 to 3 and 128 to 512 are known");
        assert_eq!(text(0x18, 3), "resource table: vdev id is 0x3, it must be 7 (rpmsg)");
        assert_eq!(
            text(0x28, 64),
            "resource table: vdev config space at offset 0x58 does not fit the table of 0x58 bytes"
        );
        assert_eq!(text(0x2c, 0x300), "resource table: vdev vring count is 0x3, rpmsg has 2");
        assert_eq!(
            text(0x38, 0x8000_0000),
            "resource table: vring size is 0x80000000, it must be a power of two up to 256"
        );
        assert_eq!(
            text(0x34, 3),
            "resource table: vring alignment is 0x3, it must be a power of two from 4 to 4096"
        );
        assert_eq!(text(0x50, 0), "resource table: vring 1 notify id is 0x0, vring 0 has the same");
    }

    #[test]
    fn a_table_over_a_page_is_refused() {
        assert_eq!(parse(&[0; MAX_LEN + 1]), Err(TableError::TooLong(4097)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(table in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&table);
        }

        #[test]
        fn a_changed_byte_never_yields_an_unusable_layout(at in 0usize..88, value: u8) {
            let mut table = minimal();
            table[at] = value;
            if let Ok(layout) = parse(&table) {
                for vring in layout.vrings() {
                    prop_assert!(vring.num.is_power_of_two() && vring.num <= vring::MAX_NUM);
                    prop_assert!(vring.align.is_power_of_two() && vring.align <= MAX_ALIGN);
                }
            }
        }
    }
}
