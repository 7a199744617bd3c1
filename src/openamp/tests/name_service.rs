//! Endpoints that come and go, announced by either side.

mod common;

use common::{backing, linked, window};
use openamp::rpmsg::{ADDR_ANY, Announcement, Host, Incoming, Name, PAYLOAD_LEN, Remote, SendError};
use shmem::Memory;

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

fn at_host(host: &mut Host, memory: &impl Memory) -> Option<Incoming> {
    host.receive(memory, &mut [0; PAYLOAD_LEN]).expect("no violation")
}

fn at_remote(remote: &mut Remote, memory: &impl Memory) -> Option<Incoming> {
    remote.receive_any(memory, &mut [0; PAYLOAD_LEN]).expect("no violation")
}

#[test]
fn an_endpoint_of_the_host_reaches_the_remote() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, _, mut remote, _) = linked(&memory, 8);
    let ours = host.announce(&memory, name("rpmsg-raw")).expect("announced");
    assert_eq!(host.send(&memory, ours, b"too early"), Err(SendError::Unconnected));
    let Some(Incoming::Announced { name, addr }) = at_remote(&mut remote, &memory) else { panic!() };
    let theirs = remote.bind(name, addr).expect("an endpoint");
    remote.send(&memory, theirs, b"first").expect("room");
    assert_eq!(at_host(&mut host, &memory), Some(Incoming::Message { endpoint: ours, len: 5 }));
    host.send(&memory, ours, b"answer").expect("the first message told the address");
    assert_eq!(at_remote(&mut remote, &memory), Some(Incoming::Message { endpoint: theirs, len: 6 }));
}

#[test]
fn endpoints_of_one_name_on_both_sides_find_each_other() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, _, mut remote, _) = linked(&memory, 8);
    let ours = host.announce(&memory, name("rpmsg-raw")).expect("announced");
    let theirs = remote.announce(&memory, name("rpmsg-raw")).expect("announced");
    assert_eq!(at_host(&mut host, &memory), Some(Incoming::Connected(ours)));
    assert_eq!(at_remote(&mut remote, &memory), Some(Incoming::Connected(theirs)));
    remote.send(&memory, theirs, b"no activation needed").expect("connected");
    assert_eq!(at_host(&mut host, &memory), Some(Incoming::Message { endpoint: ours, len: 20 }));
}

#[test]
fn a_bound_endpoint_goes_with_its_peer() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    remote.withdraw(&memory, theirs).expect("withdrawn");
    assert_eq!(remote.send(&memory, theirs, b"x"), Err(SendError::Gone));
    assert_eq!(at_host(&mut host, &memory), Some(Incoming::Withdrawn(ours)));
    assert_eq!(host.endpoint(ours), None);
    assert_eq!(host.send(&memory, ours, b"x"), Err(SendError::Gone));
}

#[test]
fn an_announced_endpoint_waits_for_the_next_peer() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    host.withdraw(&memory, ours).expect("withdrawn");
    assert_eq!(at_remote(&mut remote, &memory), Some(Incoming::Withdrawn(theirs)));
    assert_eq!(remote.endpoint(theirs).expect("still there").remote, ADDR_ANY);
    assert_eq!(remote.send(&memory, theirs, b"x"), Err(SendError::Unconnected));
    let again = host.bind(name("rpmsg-tty"), 0x400).expect("an endpoint");
    host.send(&memory, again, &[]).expect("room");
    assert_eq!(at_remote(&mut remote, &memory), Some(Incoming::Message { endpoint: theirs, len: 0 }));
    remote.send(&memory, theirs, b"x").expect("connected again");
}

#[test]
fn what_is_announced_twice_or_was_never_there_changes_nothing() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, mut remote, theirs) = linked(&memory, 8);
    let tell = |remote: &mut Remote, name: Name, addr, created| {
        // An endpoint bound to the host's name service can say anything to it.
        let liar = remote.bind(name, openamp::rpmsg::NAME_SERVICE).expect("an endpoint");
        remote.send(&memory, liar, &wire(&Announcement { name, addr, created })).expect("room");
    };
    tell(&mut remote, name("rpmsg-tty"), 0x400, true);
    tell(&mut remote, name("rpmsg-tty"), 0x401, false);
    tell(&mut remote, name("other"), 0x400, false);
    for _ in 0..3 {
        assert!(matches!(at_host(&mut host, &memory), Some(Incoming::Stray { .. })));
    }
    tell(&mut remote, name("rpmsg-tty"), ADDR_ANY, true);
    assert!(matches!(at_host(&mut host, &memory), Some(Incoming::Ignored(_))));
    assert_eq!(host.endpoint(ours).map(|endpoint| endpoint.remote), Some(0x400));
    assert!(remote.endpoint(theirs).is_some());
}

fn wire(announcement: &Announcement) -> Vec<u8> {
    announcement.encode().to_vec()
}

#[test]
fn an_announcement_that_does_not_fit_the_ring_leaves_no_endpoint() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ours, _, _) = linked(&memory, 2);
    while host.send(&memory, ours, b"x").is_ok() {}
    host.announce(&memory, name("late")).expect_err("no room");
    assert_eq!(host.endpoints().count(), 1);
    assert_eq!(host.withdraw(&memory, ours), Err(SendError::Full));
    assert!(host.endpoint(ours).is_some());
}

#[test]
fn remote_addresses_of_old_and_new_openamp_are_taken() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let (mut host, ..) = linked(&memory, 8);
    // Fixed services, OpenAMP's 128 dynamic addresses, Linux's unbounded ones.
    for addr in [1, 1023, 1024, 1151, 0x8000_0000, ADDR_ANY - 1] {
        let id = host.bind(name("service"), addr).expect("an endpoint");
        host.send(&memory, id, b"x").expect("room");
        assert_eq!(host.endpoint(id).expect("bound").remote, addr);
    }
}
