//! The arithmetic of rings and buffers, proven by trying everything: each pair of ring sizes with each pair of
//! alignments, at the edges of window and address space. The rules are written down here a second time, from virtio
//! 1.2 (2.7) and MICA's order, so that an error would have to be made twice.

use openamp::placement::Placement;
use openamp::resource_table::{self, Layout};

/// Powers of two from 1 to 256.
const NUMS: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Powers of two from 4 to 4096.
const ALIGNS: [u32; 11] = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

fn layout([num0, num1]: [u32; 2], [align0, align1]: [u32; 2]) -> Layout {
    let any = resource_table::ADDR_ANY;
    let words = [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, any, align0, num0, 0, 0, any, align1, num1, 1, 0];
    let table: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    resource_table::parse(&table).expect("a good table")
}

/// Every layout that a table can ask for.
fn layouts() -> impl Iterator<Item = ([u32; 2], [u32; 2])> {
    let pairs = |of: &'static [u32]| of.iter().flat_map(move |a| of.iter().map(move |b| [*a, *b]));
    pairs(&NUMS).flat_map(move |nums| pairs(&ALIGNS).map(move |aligns| (nums, aligns)))
}

/// End of a ring at `base`: descriptors and available ring, up to the alignment, used ring.
fn ring_end(base: u64, num: u32, align: u32) -> u64 {
    let (num, align) = (u64::from(num), u64::from(align));
    base + (16 * num + 2 * (3 + num)).div_ceil(align) * align + 2 * 3 + 8 * num
}

#[test]
fn parts_follow_each_other_without_touching_for_every_table() {
    for (nums, aligns) in layouts() {
        let placement = Placement::new(&layout(nums, aligns), 0, 1 << 20).expect("1 MiB is enough for any");
        let [ring0, ring1] = placement.rings;
        assert_eq!([ring0.num, ring1.num].map(u32::from), nums);
        assert_eq!([ring0.align, ring1.align].map(|align| align as u32), aligns);
        let [base0, base1, buffers0, buffers1] =
            [ring0.base, ring1.base, placement.buffers[0], placement.buffers[1]].map(|at| at as u64);
        // The used rings lie at multiples of their alignment from the window's start, descriptors at 16.
        assert_eq!(base0, 0);
        assert!(base1.is_multiple_of(16) && base1.is_multiple_of(aligns[1].into()), "{placement:?}");
        assert_eq!(ring0.size() as u64, ring_end(0, nums[0], aligns[0]));
        assert_eq!(base1 + ring1.size() as u64, ring_end(base1, nums[1], aligns[1]));
        assert!(ring_end(base0, nums[0], aligns[0]) <= base1, "{placement:?}");
        assert!(ring_end(base1, nums[1], aligns[1]) <= buffers0, "{placement:?}");
        assert!(buffers0.is_multiple_of(8), "{placement:?}");
        assert_eq!(buffers1, buffers0 + 512 * u64::from(nums[0]));
    }
}

#[test]
fn no_byte_less_than_needed_is_enough_for_every_table() {
    for (nums, aligns) in layouts() {
        let layout = layout(nums, aligns);
        let needed = Placement::new(&layout, 0, 0).expect_err("nothing fits nothing").needed;
        let placement = Placement::new(&layout, 0, needed).expect("what is needed is enough");
        assert_eq!(needed, placement.buffers[1] + 512 * nums[1] as usize);
        assert_eq!(Placement::new(&layout, 0, needed - 1).map_err(|error| error.needed), Err(needed));
    }
}

#[test]
fn no_address_wraps_for_every_table() {
    for (nums, aligns) in layouts() {
        let layout = layout(nums, aligns);
        let needed = Placement::new(&layout, 0, 0).expect_err("nothing fits nothing").needed;
        let highest = u32::MAX - needed as u32;
        for da in [0, 1, 0x7006_0000, highest] {
            let placement =
                Placement::new(&layout, da, usize::MAX).expect("below the end of the address space");
            assert_eq!(placement.ring_addresses(), placement.rings.map(|ring| da + ring.base as u32));
        }
        for da in [highest + 1, u32::MAX - 1, u32::MAX] {
            assert!(Placement::new(&layout, da, usize::MAX).is_err(), "{da:#x} {nums:?} {aligns:?}");
        }
    }
}
