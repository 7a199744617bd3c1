//! The bytes that OpenAMP itself puts into memory (reference vectors of the MICA ABI, section 5.8: ring size 8,
//! alignment 4, window at 0x70060000).

mod common;

use common::{DA, backing, placement, table, window};
use openamp::resource_table::{self, DRIVER_OK};
use openamp::rpmsg::{Host, Incoming, Name, PAYLOAD_LEN, Remote};
use shmem::Memory;

/// `len` bytes at `at` as the vectors print them.
fn hex(memory: &impl Memory, at: usize, len: usize) -> String {
    let mut bytes = vec![0; len];
    memory.copy_out(at, &mut bytes).expect("inside the window");
    let words: Vec<String> =
        bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02X}")).collect()).collect();
    words.join(" ")
}

#[test]
fn table_after_host_init() {
    let mut live = [0u64; 11];
    let memory = window(&mut live);
    let bytes = table(8);
    memory.copy_in(0, &bytes).expect("it fits");
    let layout = resource_table::parse(&bytes).expect("a good table");
    layout.write_vrings(&memory, placement(8).ring_addresses()).expect("inside the table");
    layout.write_status(&memory, DRIVER_OK).expect("inside the table");
    assert_eq!(hex(&memory, 0x14, 16), "03000000 07000000 02000000 01000000");
    assert_eq!(hex(&memory, 0x24, 16), "01000000 00000000 04020000 00000670");
    assert_eq!(hex(&memory, 0x34, 16), "04000000 08000000 00000000 00000000");
    assert_eq!(hex(&memory, 0x44, 20), "E0000670 04000000 08000000 01000000 00000000");
}

#[test]
fn rings_after_host_init() {
    let mut backing = backing();
    let memory = window(&mut backing);
    Host::new(&memory, placement(8)).expect("host");
    assert_eq!(hex(&memory, 0x00, 16), "C0010670 00000000 00020000 02000100");
    assert_eq!(hex(&memory, 0x10, 16), "C0030670 00000000 00020000 02000200");
    assert_eq!(hex(&memory, 0x70, 16), "C00F0670 00000000 00020000 02000080");
    assert_eq!(hex(&memory, 0x80, 16), "00000800 00000100 02000300 04000500");
    assert_eq!(hex(&memory, 0x90, 16), "06000700 00000000 00000000 00000000");
    assert_eq!(hex(&memory, 0xe0, 16), "00000000 00000000 00000000 00000100");
    assert_eq!(hex(&memory, 0x150, 16), "00000000 00000000 00000000 00000080");
    assert_eq!(hex(&memory, 0x160, 4), "01000000");
    assert_eq!(hex(&memory, 0x1c0, 8), "00000000 00000000");
}

#[test]
fn announcement_input_and_answer() {
    let mut backing = backing();
    let memory = window(&mut backing);
    let placement = placement(8);
    let mut host = Host::new(&memory, placement).expect("host");
    let mut remote = Remote::new(&memory, DA, placement.rings).expect("remote");
    let theirs = remote.announce(&memory, Name::new("rpmsg-tty").expect("a name")).expect("announced");
    assert_eq!(hex(&memory, 0x1c0, 16), "00040000 35000000 00000000 28000000");
    assert_eq!(hex(&memory, 0x1d0, 12), "72706D73 672D7474 79000000");
    assert_eq!(hex(&memory, 0x1f0, 8), "00040000 00000000");
    assert_eq!(hex(&memory, 0x98, 12), "01000100 00000000 00020000");

    let mut payload = [0; PAYLOAD_LEN];
    let incoming = host.receive(&memory, &mut payload).expect("no violation").expect("an announcement");
    let Incoming::Announced { name, addr } = incoming else { panic!("{incoming:?}") };
    assert_eq!(hex(&memory, 0x80, 6), "00000900 0000");
    let ours = host.bind(name, addr).expect("an endpoint");
    assert_eq!(host.endpoint(ours).expect("bound").local, 0x400);

    host.send(&memory, ours, b"help\r").expect("room");
    assert_eq!(hex(&memory, 0xe0, 16), "C0110670 00000000 00020000 00000100");
    assert_eq!(hex(&memory, 0x160, 6), "01000100 0000");
    assert_eq!(hex(&memory, 0x11c0, 21), "00040000 00040000 00000000 05000000 68656C70 0D");
    assert!(host.wants_kick(&memory).expect("readable"));

    let received = remote.receive(&memory, &mut payload).expect("no violation").expect("a message");
    assert_eq!(&payload[..received.len], b"help\r");
    assert_eq!(hex(&memory, 0x178, 12), "00000100 00000000 00020000");
    remote.send(&memory, theirs, b"ok\r\n").expect("room");
    assert_eq!(hex(&memory, 0x3c0, 16), "00040000 00040000 00000000 04000000");
    assert_eq!(hex(&memory, 0x9a, 2), "0200");
    assert_eq!(hex(&memory, 0xa4, 8), "01000000 00020000");
}
