//! A remote that lies: each lie is one clear violation, named after the rule it breaks.

mod common;

use common::{backing, linked, placement, window};
use openamp::rpmsg::{Host, Incoming, PAYLOAD_LEN};
use proptest::prelude::*;
use shmem::Memory;

// Offsets for ring size 8, alignment 4 (MICA ABI 3.1).
const USED0: usize = 0x98;
const USED1: usize = 0x178;
const BUFFER0: usize = 0x1c0;

fn lie(write: impl FnOnce(&shmem::Window<'_>)) -> String {
    let mut backing = backing();
    let memory = window(&mut backing);
    let mut host = Host::new(&memory, placement(8)).expect("host");
    write(&memory);
    host.receive(&memory, &mut [0; PAYLOAD_LEN]).expect_err("a violation").to_string()
}

#[test]
fn used_index_beyond_what_was_offered_is_refused() {
    let text = lie(|memory| memory.store_u16(USED0 + 2, 40_000).expect("inside"));
    assert_eq!(text, "vring 0: used index 40000 is 40000 ahead of 0, queue size 8");
}

#[test]
fn used_index_beyond_what_was_sent_is_refused() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, _) = linked(&memory, 16);
    // The activation message was the first.
    for _ in 1..10 {
        host.send(&memory, ours, b"x").expect("room");
        remote.receive(&memory, &mut [0; PAYLOAD_LEN]).expect("no violation").expect("a message");
    }
    assert_eq!(host.outstanding(&memory), Ok(0));
    let used = placement(16).rings[1].base + 296;
    // One more than was sent, although the ring has room for it.
    memory.store_u16(used + 2, 11).expect("inside");
    let text = host.outstanding(&memory).expect_err("a violation").to_string();
    assert_eq!(text, "vring 1: used index 11 is 1 ahead of 10, queue size 16");
    memory.store_u16(used + 2, 40_000).expect("inside");
    let text = host.outstanding(&memory).expect_err("a violation").to_string();
    assert_eq!(text, "vring 1: used index 40000 is 39990 ahead of 10, queue size 16");
}

#[test]
fn used_id_outside_the_ring_is_refused() {
    let text = lie(|memory| {
        memory.store_u32(USED0 + 4, 0x1_0000).expect("inside");
        memory.store_u16(USED0 + 2, 1).expect("inside");
    });
    assert_eq!(
        text,
        "vring 0: used element names descriptor 65536, which the device does not hold (queue size 8)"
    );
}

#[test]
fn used_id_returned_twice_is_refused() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, _, _) = linked(&memory, 8);
    host.send(&memory, ours, b"x").expect("room");
    host.send(&memory, ours, b"y").expect("room");
    let first = memory.load_u32(USED1 + 4).expect("inside");
    for slot in 1..3 {
        memory.store_u32(USED1 + 4 + 8 * slot, first).expect("inside");
    }
    memory.store_u16(USED1 + 2, 3).expect("inside");
    let error = host.reclaim(&memory).expect_err("a violation").to_string();
    assert!(error.starts_with("vring 1: used element names descriptor 0"), "{error}");
}

#[test]
fn rx_len_beyond_buffer_is_refused() {
    let text = lie(|memory| {
        memory.store_u16(BUFFER0 + 12, 497).expect("inside");
        memory.store_u32(USED0 + 8, 512).expect("inside");
        memory.store_u16(USED0 + 2, 1).expect("inside");
    });
    assert_eq!(text, "rpmsg message of 497 bytes does not fit its buffer, which has room for 496");
}

#[test]
fn rx_len_beyond_what_the_device_wrote_is_refused() {
    let text = lie(|memory| {
        memory.store_u16(BUFFER0 + 12, 5).expect("inside");
        memory.store_u32(USED0 + 8, 20).expect("inside");
        memory.store_u16(USED0 + 2, 1).expect("inside");
    });
    assert_eq!(text, "rpmsg message of 5 bytes does not fit its buffer, which has room for 4");
}

#[test]
fn descriptors_rewritten_by_the_remote_move_no_buffer() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, _, mut remote, theirs) = linked(&memory, 8);
    remote.send(&memory, theirs, b"true").expect("room");
    for id in 0..8 {
        memory.store_u64(16 * id, 0xffff_ffff_0000_0000).expect("inside");
        memory.store_u32(16 * id + 8, u32::MAX).expect("inside");
    }
    let mut payload = [0; PAYLOAD_LEN];
    let Ok(Some(Incoming::Message { len, .. })) = host.receive(&memory, &mut payload) else {
        panic!("no message")
    };
    assert_eq!(&payload[..len], b"true");
}

proptest! {
    /// Bytes of the whole window change between any two calls; the host neither panics nor works without end.
    #[test]
    fn scribbling_over_the_window_costs_a_bounded_number_of_messages(
        scribbles in proptest::collection::vec((0usize..0x2200, any::<u8>()), 0..400),
    ) {
        let mut backing = backing();
        let memory = window(&mut backing);
        let (mut host, ours, _, _) = linked(&memory, 8);
        let mut payload = [0; PAYLOAD_LEN];
        for (at, value) in scribbles {
            memory.store_u8(at, value).expect("inside");
            let mut taken = 0;
            while let Ok(Some(_)) = host.receive(&memory, &mut payload) {
                taken += 1;
                prop_assert!(taken <= 8, "more messages than buffers");
            }
            let _ = host.send(&memory, ours, b"anybody there?");
        }
    }
}
