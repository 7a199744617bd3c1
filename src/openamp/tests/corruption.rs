//! Any byte of the shared memory changes at any moment, also in the middle of a call: each call ends after a bounded
//! number of accesses, with an answer or an error.

mod common;

use std::cell::Cell;

use common::watched::Watched;
use common::{backing, linked, placement, window};
use openamp::rpmsg::{Held, Host, Incoming, PAYLOAD_LEN, Remote, Taken};
use proptest::prelude::*;
use shmem::{Memory, Window};

const NUM: u32 = 8;
/// Accesses that a call may take: for each buffer of the ring the dozen of one message, and as many once.
const BOUND: usize = 16 * (NUM as usize + 1);

#[derive(Clone, Copy, Debug)]
enum Call {
    Send(usize),
    Receive,
    Hold,
    Release,
    Announce,
    Withdraw,
    Kick,
    Want(bool),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..=PAYLOAD_LEN).prop_map(Call::Send),
        3 => Just(Call::Receive),
        2 => Just(Call::Hold),
        2 => Just(Call::Release),
        1 => Just(Call::Announce),
        1 => Just(Call::Withdraw),
        1 => Just(Call::Kick),
        1 => any::<bool>().prop_map(Call::Want),
    ]
}

fn name() -> openamp::rpmsg::Name {
    openamp::rpmsg::Name::new("another").expect("a name")
}

/// One call whose result does not matter, only that there is one.
fn at_host(host: &mut Host, memory: &Watched<'_>, held: &mut Vec<Held>, call: Call) {
    let mut payload = [0; PAYLOAD_LEN];
    let endpoint = host.endpoints().next().map(|(id, _)| id);
    match (call, endpoint) {
        (Call::Send(len), Some(endpoint)) => drop(host.send(memory, endpoint, &payload[..len])),
        (Call::Receive, _) => match host.receive(memory, &mut payload) {
            Ok(Some(Incoming::Message { len, .. })) => assert!(len <= PAYLOAD_LEN),
            Ok(Some(Incoming::Announced { name, addr })) => drop(host.bind(name, addr)),
            _ => {}
        },
        (Call::Hold, _) => {
            if let Ok(Some(Taken::Held(message))) = host.hold(memory) {
                held.push(message);
            }
        }
        (Call::Release, _) => {
            if let Some(message) = held.pop() {
                let copied = message.copy_out(memory, 1, &mut payload).expect("a buffer inside the window");
                assert!(copied < PAYLOAD_LEN);
                host.release(memory, message).expect("it is held");
            }
        }
        (Call::Announce, _) => drop(host.announce(memory, name())),
        (Call::Withdraw, Some(endpoint)) => drop(host.withdraw(memory, endpoint)),
        (Call::Kick, _) => drop(host.wants_kick(memory)),
        (Call::Want(wanted), _) => {
            host.want_room(memory, wanted).expect("writable");
            host.want_messages(memory, wanted).expect("writable");
            let _ = host.outstanding(memory);
        }
        (_, None) => {}
    }
}

/// As [`at_host`], for a firmware whose host lies.
fn at_remote(remote: &mut Remote, memory: &Watched<'_>, held: &mut Vec<Held>, call: Call) {
    let mut payload = [0; PAYLOAD_LEN];
    match call {
        Call::Send(len) => {
            if let Ok(id) = remote.bind(name(), 0x400) {
                let _ = remote.send(memory, id, &payload[..len]);
            }
        }
        Call::Receive => drop(remote.receive(memory, &mut payload)),
        Call::Hold => {
            if let Ok(Some(Taken::Held(message))) = remote.hold(memory) {
                held.push(message);
            }
        }
        Call::Release => {
            if let Some(message) = held.pop() {
                message.copy_out(memory, 1, &mut payload).expect("a buffer inside the window");
                remote.release(memory, message).expect("writable");
            }
        }
        Call::Announce => {
            if let Ok(id) = remote.announce(memory, name()) {
                let _ = remote.withdraw(memory, id);
            }
        }
        Call::Withdraw => drop(remote.receive_any(memory, &mut payload)),
        Call::Kick => drop(remote.wants_kick(memory)),
        Call::Want(wanted) => {
            remote.want_room(memory, wanted).expect("writable");
            remote.want_messages(memory, wanted).expect("writable");
        }
    }
}

/// Changes a byte below `reach` once in `every` accesses, by numbers that follow from a seed.
fn scribbler(seed: u64, every: u32, reach: usize) -> impl Fn(&Window<'_>) {
    // xorshift64: any sequence will do as long as a seed gives it again.
    let state = Cell::new(seed | 1);
    move |memory| {
        let mut random = state.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        state.set(random);
        if (random as u32).is_multiple_of(every) {
            let at = (random >> 32) as usize % reach;
            // Small values hit indices and lengths; the others everything else.
            let value = if random & 1 == 0 { (random >> 8) as u8 % 20 } else { (random >> 8) as u8 };
            memory.store_u8(at, value).expect("inside");
        }
    }
}

/// A host that offers another message as soon as one was taken, for an endpoint that does not exist.
#[test]
fn a_flood_of_strays_does_not_hold_the_remote_for_ever() {
    let mut backing = backing();
    let inner = window(&mut backing);
    let (mut host, _, mut remote, _) = linked(&inner, NUM);
    let nobody = host.bind(name(), 0x43f).expect("an endpoint");
    for _ in 0..NUM {
        host.send(&inner, nobody, b"?").expect("room");
    }
    let ring = placement(NUM).rings[1].base;
    let memory = Watched::new(inner, |memory| {
        let used = memory.load_u16(ring + 152 + 2).expect("inside");
        memory.store_u16(ring + 128 + 2, used.wrapping_add(NUM as u16)).expect("inside");
    });
    for _ in 0..10 {
        assert_eq!(remote.receive(&memory, &mut [0; PAYLOAD_LEN]), Ok(None));
        assert!(memory.accesses() <= BOUND);
    }
}

/// A remote that gives every buffer back as soon as it is offered.
#[test]
fn a_flood_of_messages_does_not_hold_the_host_for_ever() {
    let mut backing = backing();
    let inner = window(&mut backing);
    let (mut host, ours, ..) = linked(&inner, NUM);
    let ring = placement(NUM).rings[1].base;
    let memory = Watched::new(inner, |memory| {
        let available = memory.load_u16(ring + 128 + 2).expect("inside");
        for index in available.saturating_sub(NUM as u16)..available {
            let slot = usize::from(index % NUM as u16);
            let id = memory.load_u16(ring + 128 + 4 + 2 * slot).expect("inside");
            memory.store_u32(ring + 152 + 4 + 8 * slot, id.into()).expect("inside");
        }
        memory.store_u16(ring + 152 + 2, available).expect("inside");
    });
    for _ in 0..1000 {
        host.send(&memory, ours, b"x").expect("there always is room");
        assert!(memory.accesses() <= BOUND);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends(
        seed: u64,
        every in prop_oneof![Just(1u32), Just(4), Just(40), Just(400)],
        calls in proptest::collection::vec((any::<bool>(), call()), 1..300),
    ) {
        let mut backing = backing();
        let inner = window(&mut backing);
        let (mut host, _, mut remote, _) = linked(&inner, NUM);
        let [_, last] = placement(NUM).buffers;
        // Rings, receive buffers and the first transmit buffer.
        let reach = last + 512;
        let memory = Watched::new(inner, scribbler(seed, every, reach));
        let (mut at_hosts, mut at_remotes) = (Vec::new(), Vec::new());
        for (hosts, call) in calls {
            if hosts {
                at_host(&mut host, &memory, &mut at_hosts, call);
            } else {
                at_remote(&mut remote, &memory, &mut at_remotes, call);
            }
            let accesses = memory.accesses();
            prop_assert!(accesses <= BOUND, "{call:?}: {accesses} accesses");
        }
    }
}
