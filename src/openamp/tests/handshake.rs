//! How host and firmware agree over the live resource table.

mod common;

use common::{DA, placement, table, window};
use openamp::Violation;
use openamp::placement::Placement;
use openamp::resource_table::{self, DRIVER_OK, Layout, NEEDS_RESET};
use openamp::state::State;
use proptest::prelude::*;
use shmem::{Memory, Window};

const NAME_SERVICE: u32 = 1;
const INDIRECT: u32 = 1 << 28;
const EVENT_INDEX: u32 = 1 << 29;

/// A live table in `backing`, with the features that firmware offers.
fn live(backing: &mut [u64; 11], features: u32) -> (Window<'_>, Layout) {
    let mut bytes = table(8);
    bytes[0x20..0x24].copy_from_slice(&features.to_le_bytes());
    let layout = resource_table::parse(&bytes).expect("a good table");
    let memory = window(backing);
    memory.copy_in(0, &bytes).expect("it fits");
    (memory, layout)
}

#[test]
fn the_status_byte_is_read_as_virtio_means_it() {
    let mut backing = [0; 11];
    let (table, layout) = live(&mut backing, NAME_SERVICE);
    // 4 is all that OpenAMP's host writes; 1, 3, 7 and 0xf are the steps of Linux.
    for (status, ready) in
        [(0, false), (1, false), (3, false), (4, true), (7, true), (0xb, false), (0xf, true)]
    {
        layout.write_status(&table, status).expect("inside");
        assert_eq!(layout.driver_ready(&table), Ok(ready));
        assert_eq!(layout.reset_by_remote(&table), Ok(!ready));
    }
    layout.write_status(&table, DRIVER_OK | NEEDS_RESET).expect("inside");
    assert_eq!(layout.reset_by_remote(&table), Ok(true));
}

#[test]
fn of_the_offered_features_the_name_service_alone_is_taken() {
    for (offered, taken) in
        [(0, 0), (NAME_SERVICE, NAME_SERVICE), (NAME_SERVICE | INDIRECT | EVENT_INDEX, NAME_SERVICE), (2, 0)]
    {
        let mut backing = [0; 11];
        let (table, layout) = live(&mut backing, offered);
        layout.write_vrings(&table, [0, 0]).expect("inside");
        assert_eq!(layout.accepted_features(&table), Ok(taken));
        assert_eq!(layout.name_service(), taken == NAME_SERVICE);
    }
}

#[test]
fn firmware_finds_the_rings_where_the_host_put_them() {
    let mut backing = [0; 11];
    let (table, layout) = live(&mut backing, NAME_SERVICE);
    let placement = placement(8);
    layout.write_vrings(&table, placement.ring_addresses()).expect("inside");
    assert_eq!(layout.read_rings(&table, DA, 0x20000), Ok(placement.rings));
    let size = placement.rings[1].base + placement.rings[1].size();
    assert!(layout.read_rings(&table, DA, size).is_ok());
    let cut = layout.read_rings(&table, DA, size - 1);
    assert_eq!(cut, Err(Violation::RingAddress { vring: 1, address: DA + 0xe0 }));
}

#[test]
fn rings_below_the_window_or_misaligned_are_refused() {
    let mut backing = [0; 11];
    let (table, layout) = live(&mut backing, NAME_SERVICE);
    for address in [0, DA - 8, DA + 4, DA + 0x20000, u32::MAX] {
        layout.write_vrings(&table, [address, DA]).expect("inside");
        let refused = layout.read_rings(&table, DA, 0x20000);
        assert_eq!(refused, Err(Violation::RingAddress { vring: 0, address }));
    }
}

#[test]
fn the_state_word_says_what_it_says() {
    let mut backing = [0; 11];
    let (table, _) = live(&mut backing, NAME_SERVICE);
    for (word, state) in [
        (0, State::Quiet),
        (0xc400_0003, State::On),
        (0x8400_0009, State::Reset),
        (0x8400_0002, State::Off),
        (7, State::Unknown(7)),
    ] {
        table.store_u32(8, word).expect("inside");
        assert_eq!(State::read(&table), Ok(state));
        state.write(&table).expect("inside");
        assert_eq!(table.load_u32(8), Ok(word));
    }
}

proptest! {
    #[test]
    fn whatever_fits_a_window_lies_inside_it_without_overlap(
        nums in (0u32..9, 0u32..9), aligns in (2u32..13, 2u32..13), da in any::<u32>(), size in 0usize..0x50000,
    ) {
        let any = resource_table::ADDR_ANY;
        let words = [
            1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200,
            any, 1 << aligns.0, 1 << nums.0, 0, 0, any, 1 << aligns.1, 1 << nums.1, 1, 0,
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let layout = resource_table::parse(&bytes).expect("a good table");
        if let Ok(placement) = Placement::new(&layout, da, size) {
            let [ring0, ring1] = placement.rings;
            let [buffers0, buffers1] = placement.buffers;
            let end = buffers1 + 512 * usize::from(ring1.num);
            prop_assert!(ring0.base + ring0.size() <= ring1.base);
            prop_assert!(ring1.base + ring1.size() <= buffers0);
            prop_assert_eq!(buffers0 + 512 * usize::from(ring0.num), buffers1);
            prop_assert!(end <= size && da as usize + end <= 1 << 32);
        }
    }
}
