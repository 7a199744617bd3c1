//! No message costs an allocation.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{backing, linked, window};
use openamp::rpmsg::{Incoming, PAYLOAD_LEN, Taken};

/// The system's allocator, counting.
struct Counting;

thread_local! {
    /// Of this thread alone: the test harness has others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn ten_thousand_messages_each_way_allocate_nothing() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    let mut payload = [0; PAYLOAD_LEN];
    let before = ALLOCATIONS.get();
    for number in 0..10_000usize {
        let sent = [number as u8; PAYLOAD_LEN];
        host.send(&memory, ours, &sent[..number % PAYLOAD_LEN]).expect("room");
        host.wants_kick(&memory).expect("readable");
        let received = remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
        remote.send(&memory, theirs, &payload[..received.len]).expect("room");
        if number % 2 == 0 {
            let incoming = host.receive(&memory, &mut payload).expect("no violation");
            assert!(matches!(incoming, Some(Incoming::Message { len, .. }) if len == received.len));
        } else {
            let Ok(Some(Taken::Held(held))) = host.hold(&memory) else { panic!("no message") };
            assert_eq!(held.copy_out(&memory, 0, &mut payload), Ok(received.len));
            host.release(&memory, held).expect("held");
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(Box::new(payload));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the count counts");
}
