//! Tables as they come in files, and as they should not.

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
    assert_eq!(text(0x14, 9), "resource table has no rpmsg vdev entry (type 3)");
    assert_eq!(text(0x10, 0x10), "resource table: entry at offset 0x10 overlaps what begins at 0x0");
    assert_eq!(text(0x18, 3), "resource table: vdev id is 0x3, it must be 7 (rpmsg)");
    assert_eq!(
        text(0x28, 64),
        "resource table: vdev config space at offset 0x58 does not fit the table of 0x58 bytes"
    );
    assert_eq!(text(0x2c, 0x100), "resource table: vdev vring count is 0x1, rpmsg has 2");
    assert_eq!(
        text(0x2c, 0x300),
        "resource table: vdev vrings at offset 0x14 does not fit the table of 0x58 bytes"
    );
    assert_eq!(text(0x2c, 0x1_0200), "resource table: vdev reserved field is 0x1, it must be 0");
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

/// A table of `entries`, one after another, of which the last is the minimal vdev.
fn with_entries(entries: &[Vec<u32>]) -> Vec<u8> {
    let vdev = vec![3, 7, 2, 1, 0, 0, 0x200, ADDR_ANY, 4, 8, 0, 0, ADDR_ANY, 4, 8, 1, 0];
    let entries: Vec<&Vec<u32>> = entries.iter().chain([&vdev]).collect();
    let mut words = vec![1, entries.len() as u32, 0, 0];
    let mut at = 4 * (words.len() + entries.len());
    for entry in &entries {
        words.push(at as u32);
        at += 4 * entry.len();
    }
    words.extend(entries.into_iter().flatten());
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn padded(words: &[u32], len: usize) -> Vec<u32> {
    let mut entry = words.to_vec();
    entry.resize(len / 4, 0);
    entry
}

fn first(entry: Vec<u32>) -> Result<Entry, TableError> {
    let table = with_entries(&[entry]);
    // The whole table is judged, not the first entry alone.
    parse(&table)?;
    entries(&table)?.next().expect("an entry").map(|(_, entry)| entry)
}

#[test]
fn standard_entries_are_read() {
    let name = u32::from_le_bytes(*b"log\0");
    let region = padded(&[0, 0x7000_0000, ADDR_ANY, 0x1000, 3, 0, name, 0xaaaa_aaaa], 56);
    let Ok(Entry::Carveout(carveout)) = first(region.clone()) else { panic!("no carveout") };
    assert_eq!((carveout.da, carveout.pa, carveout.len), (0x7000_0000, ADDR_ANY, 0x1000));
    assert_eq!((carveout.flags, carveout.name.as_bytes()), (3, &b"log"[..]));
    let devmem = [vec![1], region[1..].to_vec()].concat();
    assert_eq!(first(devmem), Ok(Entry::Devmem(carveout)));
    let trace = padded(&[2, 0x7000_0000, 0x800, 0, name], 48);
    assert_eq!(first(trace), Ok(Entry::Trace(Trace { da: 0x7000_0000, len: 0x800, name: carveout.name })));
}

#[test]
fn entries_of_mica_are_read() {
    assert_eq!(first(padded(&[128, 64], ENDPOINTS_LEN)), Ok(Entry::Endpoints(64)));
    // The entry lies on a multiple of four that is none of eight, as in MICA's own images.
    let buffers = RingBuffers { da: 0x1_0000_0002, pa: 3, len: 0x2000, state: 4 };
    let entry = vec![129, 0, 2, 1, 3, 0, 0x2000, 0, 4, 0];
    assert_eq!(first(entry), Ok(Entry::RingBuffers(buffers)));
    let offsets = [130, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(first(offsets.to_vec()), Ok(Entry::VringOffsets([1, 2, 3, 4, 5, 6, 7, 8])));
    assert_eq!(first(vec![131]), Ok(Entry::Xenstore));
}

/// The table of the UniProton image with a debugger: entries at 0x1c, 0xa24 and 0xa4c.
#[test]
fn the_table_of_a_real_image_is_read() {
    let buffers = vec![129, 0, 0, 0, 0, 0, 0x2000, 0, 0, 0];
    let table = with_entries(&[padded(&[128], ENDPOINTS_LEN), buffers]);
    assert_eq!(table.len(), 0xa90);
    let found: Vec<(usize, Entry)> =
        entries(&table).expect("a header").collect::<Result<_, _>>().expect("good entries");
    let vdev = Vdev { id: 7, notify_id: 2, features: 1, vrings: 2, config_len: 0 };
    let buffers = RingBuffers { da: 0, pa: 0, len: 0x2000, state: 0 };
    let expected =
        [(0x1c, Entry::Endpoints(0)), (0xa24, Entry::RingBuffers(buffers)), (0xa4c, Entry::Vdev(vdev))];
    assert_eq!(found, expected);
    assert_eq!(parse(&table).expect("a good table").endpoints(), Some(0x1c));
}

#[test]
fn unknown_entries_are_skipped() {
    for kind in [4, 127, 132, 512, 513, u32::MAX] {
        assert_eq!(first(vec![kind, 1, 2]), Ok(Entry::Unknown(kind)));
    }
}

#[test]
fn bad_entries_are_named() {
    let text = |entry| first(entry).expect_err("a bad entry").to_string();
    for reserved in [padded(&[0, 0, 0, 0, 0, 1], 56), padded(&[1, 0, 0, 0, 0, 1], 56)] {
        assert_eq!(text(reserved), "resource table: memory entry reserved word is 0x1, it must be 0");
    }
    let beyond = padded(&[0, 0xffff_f000, 0, 0x1001], 56);
    assert_eq!(text(beyond), "resource table: memory entry length is 0x1001, it ends beyond 4 GiB");
    let many = padded(&[128, 65], ENDPOINTS_LEN);
    assert_eq!(text(many), "resource table: endpoint count is 0x41, there is room for 64");
    let odd = padded(&[129, 0, 0, 0, 0, 0, 0x2001], 40);
    assert_eq!(
        text(odd),
        "resource table: ring buffer length is 0x2001, it must be even and have room for two headers of 16 bytes"
    );
}

#[test]
fn truncated_entries_are_named() {
    let kinds = [(0, 56), (1, 56), (2, 48), (128, ENDPOINTS_LEN), (129, 40), (130, 36), (3, 28)];
    for (kind, len) in kinds {
        let vdev = with_entries(&[]).split_off(0x14);
        // The vdev is put in front, so that the entry under test is the last of the table.
        let at = 0x18 + vdev.len() as u32;
        let header: Vec<u8> =
            [1, 2, 0, 0, 0x18, at].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let mut entry = vec![0; len];
        entry[0] = kind;
        if kind == 129 {
            entry[24..28].copy_from_slice(&0x2000u32.to_le_bytes());
        }
        let table = [header, vdev, entry].concat();
        assert!(parse(&table).is_ok(), "type {kind}");
        for short in 1..len {
            let error = parse(&table[..table.len() - short]).expect_err("truncated");
            assert!(matches!(error, TableError::Outside { .. }), "type {kind} short of {short}: {error}");
        }
    }
}

#[test]
fn overlapping_entries_are_named() {
    let mut table = with_entries(&[padded(&[2, 0, 0, 0], 48)]);
    // The vdev is said to begin where the trace does, which makes two entries of one.
    table[0x14..0x18].copy_from_slice(&0x18u32.to_le_bytes());
    assert_eq!(parse(&table), Err(TableError::Overlap { at: 0x18, other: 0x18 }));
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
