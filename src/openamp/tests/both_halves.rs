//! Our driver against our device half: nothing is lost, doubled or reordered, whatever the interleaving.

mod common;

use common::{backing, linked, placement, window};
use openamp::Violation;
use openamp::rpmsg::{Incoming, PAYLOAD_LEN, SendError};
use proptest::prelude::*;
use shmem::Memory;

#[derive(Clone, Copy, Debug)]
enum Step {
    HostSends(usize),
    HostReceives,
    RemoteSends(usize),
    RemoteReceives,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..=PAYLOAD_LEN).prop_map(Step::HostSends),
        Just(Step::HostReceives),
        (0..=PAYLOAD_LEN).prop_map(Step::RemoteSends),
        Just(Step::RemoteReceives),
    ]
}

/// A message that tells its place in the sequence.
fn message(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 7 + at) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_arrives_once_and_in_order(
        // 64 buffers each way are the most that fit a core's window of 128 KiB.
        num in prop_oneof![Just(1u32), Just(2), Just(8), Just(64)],
        steps in proptest::collection::vec(step(), 1..600),
    ) {
        let mut backing = backing();
        let memory = window(&mut backing);
        let (mut host, ours, mut remote, theirs) = linked(&memory, num);
        let mut payload = [0; PAYLOAD_LEN];
        let (mut to_remote, mut to_host) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::HostSends(len) => match host.send(&memory, ours, &message(number, len)) {
                    Ok(()) => to_remote.push_back(message(number, len)),
                    Err(error) => {
                        prop_assert_eq!(error, SendError::Full);
                        prop_assert_eq!(to_remote.len(), num as usize);
                    }
                },
                Step::RemoteSends(len) => match remote.send(&memory, theirs, &message(number, len)) {
                    Ok(()) => to_host.push_back(message(number, len)),
                    Err(error) => {
                        prop_assert_eq!(error, SendError::Full);
                        prop_assert_eq!(to_host.len(), num as usize);
                    }
                },
                Step::HostReceives => {
                    let got = match host.receive(&memory, &mut payload).expect("no violation") {
                        Some(Incoming::Message { endpoint, len }) => {
                            prop_assert_eq!(endpoint, ours);
                            Some(payload[..len].to_vec())
                        }
                        None => None,
                        other => panic!("{other:?}"),
                    };
                    prop_assert_eq!(got, to_host.pop_front());
                }
                Step::RemoteReceives => {
                    let got = remote.receive(&memory, &mut payload).expect("no violation");
                    prop_assert_eq!(got.map(|got| payload[..got.len].to_vec()), to_remote.pop_front());
                }
            }
        }
    }
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
    // What a Linux host writes there: header and payload, not the whole buffer. Descriptor 0 is the one used last.
    memory.store_u32(placement(8).rings[1].base + 8, 16 + 4).expect("in bounds");
    let mut payload = [0; PAYLOAD_LEN];
    let received = remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
    assert_eq!((received.endpoint, &payload[..received.len]), (theirs, &b"ping"[..]));
}

#[test]
fn a_remote_refuses_a_message_longer_than_its_descriptor() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, _) = linked(&memory, 8);
    let descriptor_len = placement(8).rings[1].base + 8;
    let mut payload = [0; PAYLOAD_LEN];
    host.send(&memory, ours, b"ping").expect("room");
    memory.store_u32(descriptor_len, 16 + 3).expect("in bounds");
    assert_eq!(remote.receive(&memory, &mut payload), Err(Violation::MessageLength { len: 4, room: 3 }));
    let (mut host, ours, mut remote, _) = linked(&memory, 8);
    host.send(&memory, ours, b"ping").expect("room");
    memory.store_u32(descriptor_len, 15).expect("in bounds");
    let refused = remote.receive(&memory, &mut payload).expect_err("no room for a header");
    assert!(matches!(refused, Violation::Buffer { vring: 1, len: 15, .. }), "{refused}");
}
