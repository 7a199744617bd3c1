//! Our driver against our device half: the cases that have a name.

mod common;

use common::watched::Watched;
use common::{backing, linked, placement, window};
use openamp::Violation;
use openamp::rpmsg::{PAYLOAD_LEN, SendError};
use shmem::Memory;

/// Length of the buffer that the host sends in first once it is linked: the activation message had the one before.
fn descriptor_len() -> usize {
    placement(8).rings[1].base + 16 + 8
}

#[test]
fn a_full_ring_asks_for_room_and_gets_a_kick() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, _) = linked(&memory, 2);
    let mut payload = [0; PAYLOAD_LEN];
    host.send(&memory, ours, b"1").expect("room");
    host.send(&memory, ours, b"2").expect("room");
    assert_eq!(host.send(&memory, ours, b"3"), Err(SendError::Full));
    // Steady state: consuming is no news for the host.
    remote.wants_kick(&memory).expect("readable");
    remote.receive(&memory, &mut payload).expect("no violation").expect("1");
    assert!(!remote.wants_kick(&memory).expect("readable"));
    host.want_room(&memory, true).expect("writable");
    remote.receive(&memory, &mut payload).expect("no violation").expect("2");
    assert!(remote.wants_kick(&memory).expect("readable"));
    assert!(host.reclaim(&memory).expect("no violation"));
}

#[test]
fn a_message_over_the_limit_is_refused_not_truncated() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, _, _) = linked(&memory, 8);
    assert_eq!(host.send(&memory, ours, &[0; PAYLOAD_LEN + 1]), Err(SendError::TooLong(497)));
}

#[test]
fn a_remote_takes_descriptors_that_end_with_the_message() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    host.send(&memory, ours, b"ping").expect("room");
    // What a Linux host writes there: header and payload, not the whole buffer.
    memory.store_u32(descriptor_len(), 16 + 4).expect("in bounds");
    let mut payload = [0; PAYLOAD_LEN];
    let received = remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
    assert_eq!((received.endpoint, &payload[..received.len]), (theirs, &b"ping"[..]));
}

#[test]
fn a_remote_refuses_a_message_longer_than_its_descriptor() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, _) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    host.send(&memory, ours, b"ping").expect("room");
    memory.store_u32(descriptor_len(), 16 + 3).expect("in bounds");
    assert_eq!(remote.receive(&memory, &mut payload), Err(Violation::MessageLength { len: 4, room: 3 }));
    let (mut host, ours, mut remote, _) = linked(&memory, 8);
    host.send(&memory, ours, b"ping").expect("room");
    memory.store_u32(descriptor_len(), 15).expect("in bounds");
    let refused = remote.receive(&memory, &mut payload).expect_err("no room for a header");
    assert!(matches!(refused, Violation::Buffer { vring: 1, len: 15, .. }), "{refused}");
}

/// What the other side has in its cache already stays there: once around, slots and elements are what they were.
#[test]
fn after_one_round_a_message_writes_itself_and_an_index() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    let watched = Watched::new(memory, |_| {});
    let mut payload = [0; PAYLOAD_LEN];
    for round in 0..4 {
        let [mut least_there, mut least_back] = [usize::MAX; 2];
        for _ in 0..8 {
            watched.accesses();
            host.send(&watched, ours, b"ping").expect("room");
            least_there = least_there.min(watched.accesses());
            remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
            watched.accesses();
            remote.send(&watched, theirs, b"pong").expect("room");
            least_back = least_back.min(watched.accesses());
            host.receive(&memory, &mut payload).expect("no violation").expect("a message");
        }
        if round > 1 {
            // Header, payload, index; the remote reads the descriptor's three fields too.
            assert_eq!((least_there, least_back), (3, 6), "round {round}");
        }
    }
}
