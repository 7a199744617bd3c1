//! Known defects of the C implementations that a host library can share, each with its number in the project's list of
//! them (`docs/reference/defects.md`), and the weaknesses of the C OpenAMP library that the MICA ABI notes elsewhere.

mod common;

use common::{DA, backing, linked, placement, window};
use openamp::Violation;
use openamp::placement::{BUFFER_LEN, Placement};
use openamp::resource_table::{self, Layout};
use openamp::rpmsg::{
    BadAnnouncement, HEADER_LEN, Host, Incoming, Name, PAYLOAD_LEN, Remote, SendError, Taken,
};
use shmem::Memory;

/// A table with rings of these sizes, and what it says.
fn table(nums: [u32; 2]) -> (Vec<u8>, Layout) {
    let any = resource_table::ADDR_ANY;
    let words = [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, any, 4, nums[0], 0, 0, any, 4, nums[1], 1, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let layout = resource_table::parse(&bytes).expect("a good table");
    (bytes, layout)
}

/// L6: the live table is trusted for a re-attach even if another image was loaded at that address.
#[test]
fn l6_another_firmware_at_the_address_is_noticed() {
    let (mut ram, mut live) = (backing(), [0; 11]);
    let (memory, live) = (window(&mut ram), window(&mut live));
    let (_, ours) = table([8, 8]);
    let (other, _) = table([8, 16]);
    live.copy_in(0, &other).expect("it fits");
    ours.write_vrings(&live, placement(8).ring_addresses()).expect("inside");
    let refused = Host::reattach(&memory, placement(8), &ours, &live).expect_err("not our firmware");
    assert_eq!(refused, Violation::TableChanged { at: 0x4c, value: 16, expected: 8 });
    live.zero(0, 88).expect("inside");
    let refused = Host::reattach(&memory, placement(8), &ours, &live).expect_err("no firmware at all");
    assert_eq!(refused, Violation::TableChanged { at: 0x18, value: 0, expected: 7 });
}

/// L10: addresses from 4 GiB on are cut to 32 bits.
#[test]
fn l10_rings_that_end_beyond_4_gib_are_refused() {
    let (_, layout) = table([8, 8]);
    let needed = 0x21c0;
    assert!(Placement::new(&layout, u32::MAX - needed, 0x20000).is_ok());
    let refused = Placement::new(&layout, u32::MAX - needed + 1, 0x20000).expect_err("it ends beyond 4 GiB");
    assert_eq!(refused.to_string(), "vrings and buffers need 0x21c0 bytes, the shared window has 0x21bf");
}

/// L11: a re-attach trusts ring sizes from memory of the firmware, and buffers are counted by the last ring alone.
#[test]
fn l11_rings_of_different_sizes_have_buffers_of_their_own() {
    for nums in [[4, 16], [16, 4]] {
        let mut ram = backing();
        let memory = window(&mut ram);
        let (_, layout) = table(nums);
        let placement = Placement::new(&layout, DA, memory.size()).expect("it fits");
        assert_eq!(placement.buffers[1] - placement.buffers[0], BUFFER_LEN * nums[0] as usize);
        let mut host = Host::new(&memory, placement).expect("host");
        let mut remote = Remote::new(&memory, DA, placement.rings).expect("remote");
        let ours = host.bind(Name::new("tty").expect("a name"), 0x400).expect("an endpoint");
        let theirs = remote.bind(Name::new("tty").expect("a name"), 0x400).expect("an endpoint");
        // Both rings full at once, then every message as it was sent.
        let message = |direction: u8, number: u8| [direction ^ number; PAYLOAD_LEN];
        for number in 0..nums[1] as u8 {
            host.send(&memory, ours, &message(0x00, number)).expect("room");
        }
        for number in 0..nums[0] as u8 {
            remote.send(&memory, theirs, &message(0x80, number)).expect("room");
        }
        let mut payload = [0; PAYLOAD_LEN];
        for number in 0..nums[1] as u8 {
            remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
            assert_eq!(payload, message(0x00, number));
        }
        for number in 0..nums[0] as u8 {
            host.receive(&memory, &mut payload).expect("no violation").expect("a message");
            assert_eq!(payload, message(0x80, number));
        }
    }
}

/// L12: the endpoint count of the table is not limited, and the name service is restored as if it were a service.
#[test]
fn l12_the_endpoint_table_is_limited_and_has_no_name_service() {
    let any = resource_table::ADDR_ANY;
    let mut words = vec![1, 2, 0, 0, 0x18, 0xa20, 128];
    words.resize(0xa20 / 4, 0);
    words.extend([3, 7, 2, 1, 0, 0, 0x200, any, 4, 8, 0, 0, any, 4, 8, 1, 0]);
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let layout = resource_table::parse(&bytes).expect("a good table");
    let (mut ram, mut live) = (backing(), vec![0; bytes.len().div_ceil(8)]);
    let (memory, live) = (window(&mut ram), window(&mut live));
    live.copy_in(0, &bytes).expect("it fits");
    layout.write_vrings(&live, placement(8).ring_addresses()).expect("inside");

    live.store_u32(0x1c, 0x1000_0000).expect("inside");
    let refused = Host::reattach(&memory, placement(8), &layout, &live).expect_err("far too many");
    assert_eq!(refused, Violation::EndpointCount(0x1000_0000));

    live.store_u32(0x1c, 1).expect("inside");
    live.copy_in(0x20, b"NS").expect("inside");
    live.store_u32(0x40, 0x35).expect("inside");
    live.store_u32(0x44, 0x35).expect("inside");
    let mut host = Host::reattach(&memory, placement(8), &layout, &live).expect("a good table");
    assert_eq!(host.endpoints().count(), 0);
    host.bind(Name::new("tty").expect("a name"), 0x400).expect("an endpoint");
    host.record_endpoints(&layout, &live).expect("inside");
    assert_eq!((live.load_u32(0x1c), live.load_u32(0x40)), (Ok(1), Ok(0x400)));
}

/// L13: announcements that nobody took are kept in one list for all instances, beyond the end of their own.
#[test]
fn l13_an_announcement_stays_with_its_link() {
    let (mut a, mut b) = (backing(), backing());
    let (a, b) = (window(&mut a), window(&mut b));
    let mut hosts = [&a, &b].map(|memory| Host::new(memory, placement(8)).expect("host"));
    let mut remote = Remote::new(&a, DA, placement(8).rings).expect("remote");
    remote.announce(&a, Name::new("rpmsg-rpc").expect("a name")).expect("room");
    let mut payload = [0; PAYLOAD_LEN];
    assert!(matches!(hosts[0].receive(&a, &mut payload), Ok(Some(Incoming::Announced { .. }))));
    assert_eq!(hosts[1].receive(&b, &mut payload), Ok(None));
    assert!(hosts.iter().all(|host| host.endpoints().count() == 0));
}

/// S1: any prefix of a service's name matches it, even the empty one.
#[test]
fn s1_a_name_is_never_empty_and_never_a_prefix() {
    assert_eq!(Name::new(""), Err(BadAnnouncement::Unprintable));
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, ours, mut remote, _) = linked(&memory, 8);
    let short = remote.announce(&memory, Name::new("rpmsg").expect("a name")).expect("room");
    let mut payload = [0; PAYLOAD_LEN];
    let incoming = host.receive(&memory, &mut payload).expect("no violation");
    assert!(matches!(incoming, Some(Incoming::Announced { .. })), "{incoming:?}");
    // Withdrawn under the shorter name, the other one stays.
    remote.withdraw(&memory, short).expect("room");
    assert!(matches!(host.receive(&memory, &mut payload), Ok(Some(Incoming::Stray { .. }))));
    assert!(host.endpoint(ours).is_some());
}

/// S4: a message that its receiver cannot use ends the whole daemon by an assertion.
#[test]
fn s4_a_message_for_nobody_is_dropped_and_the_link_goes_on() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, _, mut remote, theirs) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    for dst in [0, 0x34, 0x36, 0x3ff, 0x401, 0x440, 0x7fff_ffff, 0xffff_fffe] {
        let stray = remote.bind(Name::new("stray").expect("a name"), dst).expect("an endpoint");
        remote.send(&memory, stray, b"?").expect("room");
        assert_eq!(host.receive(&memory, &mut payload), Ok(Some(Incoming::Stray { dst })));
        remote.send(&memory, stray, b"?").expect("room");
        assert!(matches!(host.hold(&memory), Ok(Some(Taken::Done(Incoming::Stray { .. })))));
    }
    remote.send(&memory, theirs, b"fine").expect("room");
    assert!(matches!(host.receive(&memory, &mut payload), Ok(Some(Incoming::Message { len: 4, .. }))));
}

/// S11: a receiver writes behind the payload in the shared buffer, and forgets a message when the next one comes.
#[test]
fn s11_held_messages_stay_as_they_are() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    remote.send(&memory, theirs, b"first").expect("room");
    remote.send(&memory, theirs, b"second").expect("room");
    let buffers = |memory: &shmem::Window<'_>| {
        let mut bytes = vec![0; BUFFER_LEN * 8];
        memory.copy_out(placement(8).buffers[0], &mut bytes).expect("inside");
        bytes
    };
    let before = buffers(&memory);
    let mut held = Vec::new();
    while let Some(Taken::Held(message)) = host.hold(&memory).expect("no violation") {
        held.push(message);
    }
    let mut out = [0xee; 8];
    assert_eq!(held[0].copy_out(&memory, 0, &mut out), Ok(5));
    assert_eq!(&out, b"first\xee\xee\xee");
    assert_eq!(held[1].copy_out(&memory, 3, &mut out), Ok(3));
    assert_eq!(&out[..3], b"ond");
    assert_eq!(held[1].copy_out(&memory, 7, &mut out), Ok(0));
    assert!(held.iter().all(|message| message.endpoint() == ours));
    assert!(buffers(&memory) == before, "a receiver writes nothing into a message");
    for message in held {
        host.release(&memory, message).expect("ours");
    }
}

/// S15, and 4.1: a message that is too long is cut without a word.
#[test]
fn s15_nothing_is_truncated() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    assert_eq!(host.send(&memory, ours, &[7; 497]), Err(SendError::TooLong(497)));
    assert_eq!(remote.send(&memory, theirs, &[7; 0x10001]), Err(SendError::TooLong(0x10001)));
    assert_eq!(remote.receive(&memory, &mut payload), Ok(None));
    assert_eq!(host.receive(&memory, &mut payload), Ok(None));
    host.send(&memory, ours, &[7; 496]).expect("room");
    assert_eq!(remote.receive(&memory, &mut payload).expect("no violation").expect("a message").len, 496);
}

/// S18, and 4.1: data is corrupt after the counters wrap, and a sender spins or sleeps while the ring is full.
#[test]
fn s18_indices_wrap_and_a_full_ring_says_so() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    for number in 0..70_000u32 {
        host.send(&memory, ours, &number.to_le_bytes()).expect("room");
        remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
        assert_eq!(payload[..4], number.to_le_bytes());
        remote.send(&memory, theirs, &payload[..4]).expect("room");
        host.receive(&memory, &mut payload).expect("no violation").expect("a message");
        assert_eq!(payload[..4], number.to_le_bytes());
    }
    for _ in 0..8 {
        host.send(&memory, ours, b"x").expect("room");
        remote.send(&memory, theirs, b"x").expect("room");
    }
    assert_eq!(host.send(&memory, ours, b"x"), Err(SendError::Full));
    assert_eq!(remote.send(&memory, theirs, b"x"), Err(SendError::Full));
}

/// 4.1: OpenAMP keeps its buffer's number and hold count in the header's reserved word, which the remote can write.
#[test]
fn the_reserved_word_of_a_header_means_nothing() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, _, mut remote, theirs) = linked(&memory, 2);
    for round in 0..20 {
        remote.send(&memory, theirs, b"first").expect("room");
        remote.send(&memory, theirs, b"second").expect("room");
        for buffer in 0..2 {
            let header = placement(2).buffers[0] + BUFFER_LEN * buffer;
            memory.store_u32(header + HEADER_LEN - 8, 0xffff_ffff - round).expect("inside");
        }
        let mut held = Vec::new();
        while let Some(Taken::Held(message)) = host.hold(&memory).expect("no violation") {
            memory.store_u32(placement(2).buffers[0] + 8, 0x0001_0001).expect("inside");
            held.push(message);
        }
        assert_eq!(held.len(), 2);
        for message in held {
            host.release(&memory, message).expect("ours");
        }
    }
}

/// 4.2: new OpenAMP gives no address twice, so that endpoints run out after 128.
#[test]
fn endpoints_come_and_go_without_end() {
    let mut ram = backing();
    let memory = window(&mut ram);
    let (mut host, _, mut remote, _) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    for _ in 0..1000 {
        let theirs = remote.announce(&memory, Name::new("brief").expect("a name")).expect("a place");
        let Ok(Some(Incoming::Announced { name, addr })) = host.receive(&memory, &mut payload) else {
            panic!("no announcement")
        };
        let ours = host.bind(name, addr).expect("a place");
        remote.withdraw(&memory, theirs).expect("room");
        assert_eq!(host.receive(&memory, &mut payload), Ok(Some(Incoming::Withdrawn(ours))));
    }
}

/// 5.7: a buffer's number is not checked when it is given back.
#[test]
fn a_message_released_on_another_link_is_refused() {
    let (mut a, mut b) = (backing(), backing());
    let (a, b) = (window(&mut a), window(&mut b));
    let (mut host, _, mut remote, theirs) = linked(&a, 8);
    let (mut other, ..) = linked(&b, 8);
    remote.send(&a, theirs, b"x").expect("room");
    let Ok(Some(Taken::Held(message))) = host.hold(&a) else { panic!("no message") };
    let refused = other.release(&b, message).expect_err("not a buffer of this link");
    assert!(matches!(refused, Violation::NotOurs { vring: 0, .. }), "{refused}");
}
