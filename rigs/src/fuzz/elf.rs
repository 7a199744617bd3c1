//! Firmware files.

use firmware::elf::Elf;
use firmware::test_elf::{TABLE_ADDR, TestElf, minimal_table};

use super::{Runner, Source, mutate};

/// Bytes of file header and program headers of two segments, where most of what is read lies.
const HEADERS: usize = 64 + 2 * 56;

pub(super) fn runner() -> Runner {
    let seeds = [
        TestElf::new().build(),
        TestElf::new().segment(0x7a01_0000, &[1, 2, 3, 4]).build(),
        TestElf::new().raw_segment(0x7a02_0000, &[], 0x1000, 6).build(),
        TestElf::new().table_section(TABLE_ADDR + 0x100, &minimal_table()).build(),
    ];
    let mut file = Vec::new();
    Box::new(move |source| {
        file.clone_from(&seeds[source.below(seeds.len())]);
        for _ in 0..1 + source.below(3) {
            change(source, &mut file);
        }
        if let Ok(elf) = Elf::parse(&file) {
            judge(&file, &elf);
        }
    })
}

/// Mostly a word of a header, or anything anywhere.
fn change(source: &mut Source, file: &mut Vec<u8>) {
    let sections = file.len().saturating_sub(3 * 64);
    let (from, len) = match source.below(4) {
        0 => return mutate::bytes(source, file),
        1 => (sections, file.len() - sections),
        _ => (0, HEADERS.min(file.len())),
    };
    let width = [2, 4, 8][source.below(3)];
    let at = from + source.below((len / width).max(1)) * width;
    if let Some(place) = file.get_mut(at..at + width) {
        place.copy_from_slice(&source.tricky().to_le_bytes()[..width]);
    }
}

/// What holds for every file that is accepted.
fn judge(file: &[u8], elf: &Elf) {
    let mut spans = Vec::new();
    for segment in elf.segments() {
        assert!(segment.file.end <= file.len(), "{segment:?}");
        assert!(segment.file.len() as u64 <= segment.mem_len, "{segment:?}");
        let end = segment.addr.checked_add(segment.mem_len).expect("no wrap");
        spans.push((segment.addr, end));
    }
    assert!(spans.iter().any(|(start, end)| (*start..*end).contains(&elf.entry())), "{elf:?}");
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:x?}");
    let table = elf.resource_table();
    assert_eq!(table.file.len(), elf.table_layout().len());
    assert!(table.file.end <= file.len());
}
