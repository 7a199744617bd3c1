//! The entry of the debug rings in a live table, as the UniProton image with a debugger has it.

mod common;

use common::{backing, window};
use openamp::resource_table;
use shmem::Memory;

/// Offset of the entry in the table below.
const ENTRY: usize = 0x18;

#[test]
fn the_entry_tells_the_firmware_of_its_rings_and_of_ctrl_c() {
    let any = resource_table::ADDR_ANY;
    let mut words = vec![1, 2, 0, 0, 0x18, 0x40, 129, 0, 0, 0, 0, 0, 0x2000, 0, 0, 0];
    words.extend([3, 7, 2, 1, 0, 0, 0x200, any, 4, 8, 0, 0, any, 4, 8, 1, 0]);
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let layout = resource_table::parse(&bytes).expect("a good table");
    assert_eq!(layout.debug_rings_len(), Some(0x2000));

    let mut live = backing();
    let table = window(&mut live).part(0, bytes.len()).expect("inside");
    table.copy_in(0, &bytes).expect("inside");
    assert_eq!(layout.read_debug_rings(&table, 0x7006_0000, 0x2_0000), Ok(None));
    layout.write_debug_rings(&table, 0x7006_21c0).expect("inside");
    let found = |da, size| layout.read_debug_rings(&table, da, size).expect("inside");
    assert_eq!(found(0x7006_0000, 0x2_0000), Some((0x21c0, 0x2000)));
    assert_eq!([found(0x7006_0000, 0x41bf), found(0x7006_2000, 0x41bf)], [None, Some((0x1c0, 0x2000))]);
    assert_eq!([found(0x7007_0000, 0x2_0000), found(0x7006_0004, 0x2_0000)], [None, None]);
    let entry = || {
        let words = [8, 12, 16, 20, 24, 28].map(|at| table.load_u32(ENTRY + at).expect("inside"));
        (words, table.load_u8(ENTRY + 32).expect("inside"))
    };
    assert_eq!(entry(), ([0x7006_21c0, 0, 0x7006_21c0, 0, 0x2000, 0], 1));
    assert_eq!(layout.take_debugger_interrupt(&table), Ok(false));
    layout.interrupt_for_debugger(&table).expect("inside");
    assert_eq!(entry().1, 3);
    assert_eq!(layout.take_debugger_interrupt(&table), Ok(true));
    assert_eq!(layout.take_debugger_interrupt(&table), Ok(false));
}
