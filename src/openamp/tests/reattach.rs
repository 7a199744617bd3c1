//! A host process dies, its firmware does not: another host goes on.

mod common;

use common::{DA, backing, linked, placement, window};
use openamp::Violation;
use openamp::resource_table::{self, DRIVER_OK, Layout};
use openamp::rpmsg::{Host, Incoming, Name, PAYLOAD_LEN};
use openamp::state::State;
use proptest::prelude::*;
use shmem::{Memory, Window};

/// MICA's usual table of two entries: endpoint table at 0x18, vdev at 0xa20.
const TABLE_LEN: usize = 0xa64;
const COUNT: usize = 0x1c;
const SLOT0: usize = 0x20;
const SLOT1: usize = SLOT0 + 40;

fn firmware_table() -> Vec<u8> {
    let any = resource_table::ADDR_ANY;
    let mut words = vec![1, 2, 0, 0, 0x18, 0xa20, 128];
    words.resize(0xa20 / 4, 0);
    words.extend([3, 7, 2, 1, 0, 0, 0x200, any, 4, 8, 0, 0, any, 4, 8, 1, 0]);
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    assert_eq!(bytes.len(), TABLE_LEN);
    bytes
}

/// The live table as the first host leaves it, with its rings at their place.
fn live(backing: &mut [u64]) -> (Window<'_>, Layout) {
    let bytes = firmware_table();
    let layout = resource_table::parse(&bytes).expect("a good table");
    let table = window(backing).part(0, TABLE_LEN).expect("it fits");
    table.copy_in(0, &bytes).expect("it fits");
    layout.write_vrings(&table, placement(8).ring_addresses()).expect("inside");
    layout.write_status(&table, DRIVER_OK).expect("inside");
    State::On.write(&table).expect("inside");
    (table, layout)
}

#[test]
fn endpoints_survive_the_host() {
    let (mut ram, mut table) = (backing(), vec![0; TABLE_LEN.div_ceil(8)]);
    let memory = window(&mut ram);
    let (table, layout) = live(&mut table);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    host.bind(Name::new("rpmsg-umt").expect("a name"), 0x401).expect("an endpoint");
    host.record_endpoints(&layout, &table).expect("room");
    // What is in the rings when the host dies is lost.
    host.send(&memory, ours, b"lost").expect("room");
    remote.send(&memory, theirs, b"lost").expect("room");

    layout.write_status(&table, 0).expect("inside");
    State::Reset.write(&table).expect("inside");
    // The firmware's interrupt handler.
    assert_eq!(State::read(&table), Ok(State::Reset));
    remote.reset(&memory).expect("writable");
    State::Quiet.write(&table).expect("inside");

    // The second host knows nothing of the first.
    let mut host = Host::reattach(&memory, placement(8), &layout, &table).expect("a good table");
    layout.write_status(&table, DRIVER_OK).expect("inside");
    State::On.write(&table).expect("inside");
    let endpoints: Vec<_> =
        host.endpoints().map(|(_, end)| (end.name.as_str().to_owned(), end.local, end.remote)).collect();
    assert_eq!(endpoints, [("rpmsg-tty".into(), 0x400, 0x400), ("rpmsg-umt".into(), 0x401, 0x401)]);
    let tty = host.endpoints().next().expect("the tty").0;
    let mut payload = [0; PAYLOAD_LEN];
    for round in 0..40u8 {
        host.send(&memory, tty, &[round]).expect("room");
        let received = remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
        assert_eq!((received.endpoint, received.len, payload[0]), (theirs, 1, round));
        remote.send(&memory, theirs, &payload[..1]).expect("room");
        let incoming = host.receive(&memory, &mut payload).expect("no violation");
        assert_eq!(incoming, Some(Incoming::Message { endpoint: tty, len: 1 }));
        assert_eq!(payload[0], round);
    }
}

#[test]
fn the_endpoint_table_is_written_as_mica_lays_it_out() {
    let (mut ram, mut table) = (backing(), vec![0; TABLE_LEN.div_ceil(8)]);
    let memory = window(&mut ram);
    let (table, layout) = live(&mut table);
    let (mut host, tty, ..) = linked(&memory, 8);
    host.bind(Name::new("rpmsg-rpc").expect("a name"), 0x455).expect("an endpoint");
    // Announced, not connected: not to be restored.
    host.announce(&memory, Name::new("waiting").expect("a name")).expect("room");
    host.record_endpoints(&layout, &table).expect("room");
    assert_eq!(table.load_u32(COUNT), Ok(2));
    let mut slot = [0; 40];
    table.copy_out(SLOT1, &mut slot).expect("inside");
    let expected = [&b"rpmsg-rpc"[..], &[0; 23], &[0x55, 4, 0, 0], &[1, 4, 0, 0]].concat();
    assert_eq!(slot[..], expected);
    host.withdraw(&memory, tty).expect("room");
    host.record_endpoints(&layout, &table).expect("room");
    assert_eq!(table.load_u32(COUNT), Ok(1));
    table.copy_out(SLOT0, &mut slot).expect("inside");
    assert_eq!(slot[..], expected);
    table.copy_out(SLOT1, &mut slot).expect("inside");
    assert_eq!(slot, [0; 40]);
}

#[test]
fn the_table_of_a_stock_host_is_taken() {
    let (mut ram, mut table) = (backing(), vec![0; TABLE_LEN.div_ceil(8)]);
    let memory = window(&mut ram);
    let (table, layout) = live(&mut table);
    // Its own name service first, then a service, then a slot that was never filled.
    let slot = |at, name: &[u8], remote, host| {
        table.copy_in(at, name).expect("inside");
        table.store_u32(at + 32, remote).expect("inside");
        table.store_u32(at + 36, host).expect("inside");
    };
    slot(SLOT0, b"NS", 0x35, 0x35);
    slot(SLOT1, b"rpmsg-rpc", 0x400, 0x402);
    table.store_u32(COUNT, 3).expect("inside");
    let host = Host::reattach(&memory, placement(8), &layout, &table).expect("a good table");
    let endpoints: Vec<_> = host.endpoints().map(|(_, end)| (end.local, end.remote)).collect();
    assert_eq!(endpoints, [(0x402, 0x400)]);
}

/// What reattaching says of a table after `lie`; the rings must be as they were.
fn lie(lie: impl FnOnce(&Window<'_>)) -> String {
    let (mut ram, mut table) = (backing(), vec![0; TABLE_LEN.div_ceil(8)]);
    let memory = window(&mut ram);
    let (table, layout) = live(&mut table);
    let (mut host, ..) = linked(&memory, 8);
    host.bind(Name::new("rpmsg-umt").expect("a name"), 0x401).expect("an endpoint");
    host.record_endpoints(&layout, &table).expect("room");
    let mut before = vec![0; memory.size()];
    memory.copy_out(0, &mut before).expect("inside");
    lie(&table);
    let refused = Host::reattach(&memory, placement(8), &layout, &table).expect_err("a lie");
    let mut after = vec![0; memory.size()];
    memory.copy_out(0, &mut after).expect("inside");
    assert!(before == after, "a refused table changes nothing");
    refused.to_string()
}

#[test]
fn a_lying_table_is_a_violation() {
    let word = |at, value| lie(|table| table.store_u32(at, value).expect("inside"));
    assert_eq!(word(COUNT, 65), "endpoint table: 65 endpoints, it has room for 64");
    assert_eq!(
        word(SLOT0 + 36, 0x440),
        "endpoint table: slot 0: host address is 0x440, it must be from 0x400 to 0x43f and be listed once"
    );
    assert_eq!(
        word(SLOT1 + 36, 0x400),
        "endpoint table: slot 1: host address is 0x400, it must be from 0x400 to 0x43f and be listed once"
    );
    assert_eq!(
        word(SLOT1 + 32, u32::MAX),
        "endpoint table: slot 1: remote address is 0xffffffff, it must be known and be listed once"
    );
    assert_eq!(word(SLOT1, 0), "endpoint table: slot 1: endpoint name is empty or not printable");
    let endless = lie(|table| table.copy_in(SLOT1, &[b'x'; 32]).expect("inside"));
    assert_eq!(endless, "endpoint table: slot 1: endpoint name is not terminated within 32 bytes");
    assert_eq!(word(0xa3c, DA + 0x1000), "vring 0 is said to be at 0x70061000, where it cannot be");
    assert_eq!(word(0xa50, 0), "vring 1 is said to be at 0x0, where it cannot be");
    assert_eq!(word(0xa44, 256), "live resource table: 0x100 at offset 0xa44, the firmware file says 0x8");
}

proptest! {
    #[test]
    fn any_live_table_is_judged_without_panic(
        scribbles in proptest::collection::vec((0usize..TABLE_LEN, any::<u8>()), 1..40),
    ) {
        let (mut ram, mut table) = (backing(), vec![0; TABLE_LEN.div_ceil(8)]);
        let memory = window(&mut ram);
        let (table, layout) = live(&mut table);
        table.store_u32(COUNT, 64).expect("inside");
        for (at, value) in scribbles {
            table.store_u8(at, value).expect("inside");
        }
        match Host::reattach(&memory, placement(8), &layout, &table) {
            Ok(host) => for (_, endpoint) in host.endpoints() {
                prop_assert!((0x400..0x440).contains(&endpoint.local) && endpoint.remote != u32::MAX);
            },
            Err(violation) => prop_assert!(!matches!(violation, Violation::Fault(_)), "{violation}"),
        }
    }
}
