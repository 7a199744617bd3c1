//! The resource table of the image: one RPMsg device with two rings, MICA's debug rings, and, if it is built so, MICA's
//! endpoint table.

use openamp::resource_table::{ADDR_ANY, Layout, TableError, parse};

/// Length in bytes.
pub const LEN: usize = 4 * WORDS.len();

/// The notify id of the vdev entry.
const VDEV_NOTIFY_ID: u32 = 2;
/// Buffers per direction: enough that `flood` rarely waits, small enough for MICA's 128 KiB window.
pub const BUFFERS: u32 = 16;
/// Alignment of the used rings in bytes: MICA's.
const ALIGN: u32 = 4;

/// Bytes of both debug rings: MICA's.
const DEBUG_LEN: u32 = 0x2000;

/// Whether the table has room for the endpoints, so that the host writes them there and they outlive it.
pub const KEEPS_ENDPOINTS: bool = cfg!(feature = "endpoint-table");

/// Version, entries, state word, report word, offsets of the entries.
#[cfg(not(feature = "endpoint-table"))]
const HEADER: [u32; 6] = [1, 2, 0, 0, 0x40, 0x18];
/// The same with one entry more, and a word that has the debug rings begin at a multiple of eight.
#[cfg(feature = "endpoint-table")]
const HEADER: [u32; 8] = [1, 3, 0, 0, 0x48, 0x20, 0x8c, 0];

/// Debug rings and the RPMsg device.
#[rustfmt::skip]
const ENTRIES: [u32; 27] = [
    // debug rings: type, flags, device and physical address, length, state and reserved
    129, 0, 0, 0, 0, 0, DEBUG_LEN, 0, 0, 0,
    // vdev: type, rpmsg, notify id, feature name service, accepted features, config bytes, 2 vrings and status 0
    3, 7, VDEV_NOTIFY_ID, 1, 0, 0, 0x200,
    // vrings: address, alignment, buffers, notify id, reserved
    ADDR_ANY, ALIGN, BUFFERS, 0, 0,
    ADDR_ANY, ALIGN, BUFFERS, 1, 0,
];

/// The endpoint table: type, count and 64 times a name, its remote and its host address.
const ENDPOINTS: [u32; if KEEPS_ENDPOINTS { 2 + 64 * 10 } else { 0 }] = {
    let mut words = [0; _];
    if let Some((first, _)) = words.split_first_mut() {
        *first = 128;
    }
    words
};

/// The table as it stands in the image. The host fills in the addresses, the accepted features and the status.
pub const WORDS: [u32; HEADER.len() + ENTRIES.len() + ENDPOINTS.len()] = {
    let mut words = [0; _];
    let (header, rest): (&mut [u32], &mut [u32]) = words.split_at_mut(HEADER.len());
    let (entries, endpoints) = rest.split_at_mut(ENTRIES.len());
    header.copy_from_slice(&HEADER);
    entries.copy_from_slice(&ENTRIES);
    endpoints.copy_from_slice(&ENDPOINTS);
    words
};

/// Where the fields of the live table are.
pub fn layout() -> Result<Layout, TableError> {
    let mut bytes = [0; LEN];
    for (to, word) in bytes.chunks_exact_mut(4).zip(WORDS) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    parse(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_accepts_the_table() {
        let layout = layout().expect("a good table");
        assert_eq!(layout.len(), if KEEPS_ENDPOINTS { 2708 } else { 132 });
        assert_eq!(layout.debug_rings_len(), Some(0x2000));
        assert!(layout.name_service());
        assert_eq!(layout.vrings().map(|ring| (ring.num, ring.align)), [(16, 4); 2]);
        assert_eq!(layout.vrings().map(|ring| ring.notify_id), [0, 1]);
    }
}
