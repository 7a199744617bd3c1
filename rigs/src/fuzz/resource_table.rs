//! The resource table of a firmware file, and where rings are put for it.

use openamp::placement::Placement;
use openamp::resource_table::{self, Layout};
use openamp::vring::MAX_NUM;
use shmem::Memory;

use super::memory::Plain;
use super::{Runner, Source, mutate};

/// Entries that MICA and OpenAMP know: type and length in bytes.
const ENTRIES: [(u32, usize); 7] = [(0, 56), (1, 56), (2, 48), (3, 68), (128, 2568), (129, 40), (130, 36)];

pub(super) fn runner() -> Runner {
    let mut table = Vec::new();
    Box::new(move |source| {
        build(source, &mut table);
        if source.below(8) != 0 {
            mutate::bytes(source, &mut table);
        }
        if let Ok(layout) = resource_table::parse(&table) {
            judge(source, &table, &layout);
        }
    })
}

/// A valid table: some entries in some order, one of them the vdev.
fn build(source: &mut Source, table: &mut Vec<u8>) {
    let count = 1 + source.below(4);
    let vdev = source.below(count);
    table.clear();
    table.extend([1, count as u32, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    table.resize(16 + 4 * count, 0);
    for entry in 0..count {
        // The endpoint table is long: seldom.
        let kind = if source.one_in(64) { 4 } else { [0, 1, 2, 5, 6][source.below(5)] };
        let (kind, len) = ENTRIES[if entry == vdev { 3 } else { kind }];
        let at = table.len();
        table[16 + 4 * entry..20 + 4 * entry].copy_from_slice(&(at as u32).to_le_bytes());
        table.resize(at + len, 0);
        table[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        if entry == vdev {
            let [num, align] = [1u32 << source.below(9), 4 << source.below(11)];
            let any = resource_table::ADDR_ANY;
            let words = [3, 7, 2, 1, 0, 0, 0x200, any, align, num, 0, 0, any, align, num, 1, 0];
            for (place, word) in table[at..].chunks_exact_mut(4).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

/// What holds for every table that is accepted.
fn judge(source: &mut Source, table: &[u8], layout: &Layout) {
    for vring in layout.vrings() {
        assert!(vring.num.is_power_of_two() && vring.num <= MAX_NUM, "{vring:?}");
        assert!(vring.align.is_power_of_two() && (4..=4096).contains(&vring.align), "{vring:?}");
    }
    let live = Plain::new(table);
    layout.write_vrings(&live, [1, 2]).expect("inside the table");
    layout.write_status(&live, 4).expect("inside the table");
    assert_eq!([layout.read_vring(&live, 0), layout.read_vring(&live, 1)], [Ok(1), Ok(2)]);
    assert_eq!(layout.read_status(&live), Ok(4));
    let changed = (0..table.len()).filter(|at| live.load_u8(*at) != Ok(table[*at])).count();
    assert!(changed <= 13, "{changed} bytes changed; two addresses, the features and the status are 13");
    place(source, layout);
}

fn place(source: &mut Source, layout: &Layout) {
    let (da, size) = (source.tricky() as u32, source.tricky() as usize);
    let Ok(placement) = Placement::new(layout, da, size) else { return };
    let [first, second] = placement.rings;
    let ends = [first.base + first.size(), second.base + second.size()];
    let buffers = placement.buffers.map(|at| (at, at + 512));
    assert!(
        ends[0] <= second.base && ends[1] <= buffers[0].0 && buffers[0].1 <= buffers[1].0,
        "{placement:?}"
    );
    let end = placement.buffers[1] + 512 * usize::from(second.num);
    assert!(end <= size && end as u64 + u64::from(da) <= u64::from(u32::MAX), "{placement:?}");
}
