//! A link in ordinary memory: what both sides of the tests share.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod watched;

use openamp::placement::Placement;
use openamp::resource_table;
use openamp::rpmsg::{EndpointId, Host, Incoming, Name, PAYLOAD_LEN, Remote};
use shmem::Window;

/// Device address of the window: CPU 3 of the QEMU board.
pub const DA: u32 = 0x7006_0000;

/// The smallest table with two vrings of `num`, alignment 4.
pub fn table(num: u32) -> Vec<u8> {
    let any = resource_table::ADDR_ANY;
    let words = [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, any, 4, num, 0, 0, any, 4, num, 1, 0];
    words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}

/// 128 KiB of memory, as MICA gives each core.
pub fn backing() -> Vec<u64> {
    vec![0x5a5a_5a5a_5a5a_5a5a; 0x20000 / 8]
}

pub fn window(backing: &mut [u64]) -> Window<'_> {
    // SAFETY: the borrow of the backing lasts as long as the window, and only the window touches it meanwhile.
    unsafe { Window::from_raw(backing.as_mut_ptr().cast(), size_of_val(backing)) }
}

pub fn placement(num: u32) -> Placement {
    let layout = resource_table::parse(&table(num)).expect("a good table");
    Placement::new(&layout, DA, 0x20000).expect("it fits")
}

/// A host and a remote on one window, `rpmsg-tty` bound on both sides.
pub fn linked(memory: &Window<'_>, num: u32) -> (Host, EndpointId, Remote, EndpointId) {
    let placement = placement(num);
    let mut host = Host::new(memory, placement).expect("host");
    let mut remote = Remote::new(memory, DA, placement.rings).expect("remote");
    let name = Name::new("rpmsg-tty").expect("a name");
    let theirs = remote.announce(memory, name).expect("room for the announcement");
    let mut payload = [0; PAYLOAD_LEN];
    let Ok(Some(Incoming::Announced { name, addr })) = host.receive(memory, &mut payload) else {
        panic!("no announcement");
    };
    let ours = host.bind(name, addr).expect("an endpoint");
    host.send(memory, ours, &[]).expect("the activation message");
    let activated =
        remote.receive(memory, &mut payload).expect("no violation").expect("the activation message");
    assert_eq!((activated.endpoint, activated.len), (theirs, 0));
    (host, ours, remote, theirs)
}
