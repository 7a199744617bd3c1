//! What is accepted, and every refusal with its line.

use proptest::prelude::*;

use super::*;
use crate::test_elf::{CODE_ADDR, TABLE_ADDR, TestElf, minimal_table};

fn refusal(elf: &TestElf) -> String {
    Elf::parse(&elf.build()).expect_err("a broken elf file").to_string()
}

/// Puts a little-endian word of 8 bytes into a file.
fn patched(mut file: Vec<u8>, at: usize, value: u64) -> Vec<u8> {
    file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    file
}

#[test]
fn a_valid_file_tells_what_goes_where() {
    let file = TestElf::new().raw_segment(0x7a10_0000, b"data", 0x100, 6).build();
    let elf = Elf::parse(&file).expect("valid");
    assert_eq!(elf.entry(), CODE_ADDR);
    let [_, table, data] = elf.segments() else { panic!("three segments: {elf:?}") };
    assert_eq!((data.addr, data.mem_len, data.executable), (0x7a10_0000, 0x100, false));
    assert_eq!(&file[data.file.clone()], b"data");
    assert_eq!(elf.resource_table(), &Section { addr: TABLE_ADDR, file: table.file.clone() });
    assert_eq!(&file[elf.resource_table().file.clone()], minimal_table());
    assert_eq!(elf.table_layout().vrings()[0].num, 8);
}

#[test]
fn an_unaligned_buffer_is_read_as_well() {
    let file = TestElf::new().build();
    let shifted: Vec<u8> = std::iter::once(0).chain(file.iter().copied()).collect();
    assert_eq!(Elf::parse(&shifted[1..]), Elf::parse(&file));
}

#[test]
fn a_segment_without_memory_means_nothing() {
    let file = TestElf::new().raw_segment(CODE_ADDR, b"", 0, 7).build();
    assert_eq!(Elf::parse(&file).expect("valid").segments().len(), 2);
}

#[test]
fn a_file_of_another_format_is_refused() {
    let text = |file: &[u8]| Elf::parse(file).expect_err("not an elf file").to_string();
    assert_eq!(
        text(b"#!/bin/sh"),
        "not an elf file: it starts with [23, 21, 2f, 62], an elf file with [7f, 45, 4c, 46]"
    );
    assert_eq!(text(b""), "not an elf file: it starts with [], an elf file with [7f, 45, 4c, 46]");
}

#[test]
fn firmware_for_another_machine_is_refused() {
    let elf = TestElf::new;
    assert_eq!(refusal(&elf().machine(62)), "elf header: machine is 62 (x86-64), it must be 183 (aarch64)");
    assert_eq!(refusal(&elf().machine(8)), "elf header: machine is 8, it must be 183 (aarch64)");
    assert_eq!(refusal(&elf().class(1)), "elf header: class is 1, it must be 2 (64-bit)");
    assert_eq!(refusal(&elf().byte_order(2)), "elf header: byte order is 2, it must be 1 (little endian)");
    assert_eq!(
        refusal(&elf().kind(3)),
        "elf header: type is 3, it must be 2 (executable, linked to fixed addresses)"
    );
}

#[test]
fn every_truncation_is_refused() {
    let file = TestElf::new().build();
    for len in 4..file.len() {
        let error = Elf::parse(&file[..len]).expect_err("a truncated file");
        assert!(matches!(error, ElfError::Truncated { .. }), "{len}: {error}");
    }
    let text = |len| Elf::parse(&file[..len]).expect_err("a truncated file").to_string();
    assert_eq!(text(10), "elf file is truncated: file header takes 64 bytes from byte 0, the file has 10");
    assert_eq!(
        text(100),
        "elf file is truncated: program header table takes 112 bytes from byte 64, the file has 100"
    );
    assert_eq!(text(200), "elf file is truncated: segment 1 takes 88 bytes from byte 184, the file has 200");
    let last = file.len() - 1;
    let sections = format!("section header table takes 192 bytes from byte {}", file.len() - 192);
    assert_eq!(text(last), format!("elf file is truncated: {sections}, the file has {last}"));
}

#[test]
fn offsets_beyond_all_bounds_are_refused() {
    let file = TestElf::new().build();
    // e_phoff, e_shoff, p_offset and p_filesz of segment 0.
    for at in [32, 40, 72, 96] {
        for value in [u64::MAX, u64::MAX - 63, 1 << 63, file.len() as u64] {
            let error = Elf::parse(&patched(file.clone(), at, value)).expect_err("a wild offset");
            assert!(matches!(error, ElfError::Truncated { .. }), "{at} = {value:#x}: {error}");
        }
    }
}

#[test]
fn extended_counts_are_bounded_by_the_file() {
    let file = TestElf::new().build();
    let sections = file.len() - 192;
    let mut extended = file.clone();
    // e_phnum = PN_XNUM: the count is sh_info of section 0.
    extended[56..58].copy_from_slice(&[0xff, 0xff]);
    extended[sections + 44..sections + 48].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Elf::parse(&extended), Err(ElfError::Truncated { part: Part::ProgramHeaders, .. })));
    // e_shnum = 0: the count is sh_size of section 0.
    let mut extended = file;
    extended[60..62].copy_from_slice(&[0, 0]);
    let extended = patched(extended, sections + 32, u32::MAX.into());
    assert!(matches!(Elf::parse(&extended), Err(ElfError::Truncated { part: Part::SectionHeaders, .. })));
}

#[test]
fn impossible_segments_are_refused() {
    let elf = TestElf::new;
    assert_eq!(refusal(&elf().without_segments()), "elf file has no load segment, there is nothing to run");
    assert_eq!(
        refusal(&elf().raw_segment(0x7a10_0000, b"12345", 4, 7)),
        "segment 2 has 5 bytes in the file but only 4 in memory"
    );
    assert_eq!(
        refusal(&elf().raw_segment(u64::MAX - 1, b"", 2, 7)),
        "segment 2 has 0x2 bytes from 0xfffffffffffffffe on, beyond the highest address"
    );
    assert_eq!(
        refusal(&elf().raw_segment(0x79ff_f000, b"", 0x1001, 7)),
        "segments 2 and 0 overlap at 0x7a000000"
    );
}

#[test]
fn an_entry_outside_loaded_code_is_refused() {
    let text = "is not in the file's part of an executable load segment";
    let data = TestElf::new().raw_segment(0x7a10_0000, b"data", 0x100, 6).entry(0x7a10_0000);
    assert_eq!(refusal(&data), format!("entry point 0x7a100000 {text}"));
    let zeroes = TestElf::new().raw_segment(0x7a10_0000, b"code", 0x100, 7).entry(0x7a10_0004);
    assert_eq!(refusal(&zeroes), format!("entry point 0x7a100004 {text}"));
    assert_eq!(refusal(&TestElf::new().entry(u64::MAX)), format!("entry point {:#x} {text}", u64::MAX));
}

#[test]
fn a_file_without_a_usable_table_section_is_refused() {
    let elf = TestElf::new;
    let missing = "elf file has no section .resource_table of type progbits";
    assert_eq!(refusal(&elf().without_table()), missing);
    assert_eq!(refusal(&elf().table_type(8)), missing);
    assert_eq!(
        refusal(&elf().without_sections()),
        "elf file has no section headers, the resource table is found by them; strip with --strip-debug"
    );
    assert_eq!(
        refusal(&elf().table_section(0x7a20_0000, b"")),
        "elf file has two sections .resource_table: 2 and 3"
    );
}

#[test]
fn an_absurd_table_is_refused() {
    let elf = TestElf::new;
    assert_eq!(
        refusal(&elf().resource_table(&[0; 4097])),
        "section .resource_table is 4097 bytes long, at most 4096 are allowed"
    );
    assert_eq!(
        refusal(&elf().resource_table(&[0; 88])),
        "resource table: version is 0x0, only version 1 exists"
    );
    assert_eq!(
        refusal(
            &elf()
                .without_table()
                .segment(0x7a20_0002, &minimal_table())
                .table_section(0x7a20_0002, &minimal_table())
        ),
        "section .resource_table is at 0x7a200002, its address must be a multiple of 4"
    );
}

#[test]
fn a_table_that_is_not_loaded_from_the_file_is_refused() {
    let at = |addr| {
        format!(
            "section .resource_table at {addr:#x} is not in the file's part of a load segment with that physical \
             address"
        )
    };
    let elf = || TestElf::new().without_table();
    let table = minimal_table();
    assert_eq!(refusal(&elf().table_section(0x7a20_0000, &table)), at(0x7a20_0000));
    let zeroed = elf().raw_segment(0x7a20_0000, &[], 0x100, 6).table_section(0x7a20_0004, &table);
    assert_eq!(refusal(&zeroed), at(0x7a20_0004));
    let elsewhere = elf().segment(0x7a20_0000, &[0; 0x100]).table_section(0x7a20_0010, &table);
    assert_eq!(refusal(&elsewhere), at(0x7a20_0010));
}

/// What [`Elf`] promises, as far as it can be said without repeating the parser.
fn keeps_its_promises(elf: &Elf, file: &[u8]) {
    for (index, segment) in elf.segments().iter().enumerate() {
        assert!(file.get(segment.file.clone()).is_some());
        assert!(segment.mem_len > 0 && segment.file.len() as u64 <= segment.mem_len);
        let end = segment.addr.checked_add(segment.mem_len).expect("no overflow");
        for other in elf.segments().iter().skip(index + 1) {
            assert!(other.addr >= end || other.addr + other.mem_len <= segment.addr);
        }
    }
    let table = file.get(elf.resource_table().file.clone()).expect("a table in the file");
    assert_eq!(openamp::resource_table::parse(table).as_ref(), Ok(elf.table_layout()));
    assert!(elf.segments().iter().any(|segment| segment.executable && segment.addr <= elf.entry()));
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Elf::parse(&file).is_err());
    }

    #[test]
    fn any_bytes_after_a_valid_header_are_judged(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut file = TestElf::new().build();
        file.truncate(64);
        file.extend(tail);
        if let Ok(elf) = Elf::parse(&file) {
            keeps_its_promises(&elf, &file);
        }
    }

    #[test]
    fn a_mutated_file_is_refused_or_keeps_the_promises(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut file = TestElf::new().raw_segment(0x7a10_0000, b"data", 0x100, 6).build();
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.map_or(file.len(), |cut| cut.index(file.len())));
        prop_assert_eq!(Elf::read(std::io::Cursor::new(&file)), Elf::parse(&file));
        if let Ok(elf) = Elf::parse(&file) {
            keeps_its_promises(&elf, &file);
        }
    }
}
