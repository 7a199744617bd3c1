//! The memory of a board with a firmware in it, as a list of ranges and as a picture.

use std::fmt;

use firmware::board::{Board, Region};
use firmware::elf::{Elf, Segment};
use serde::Serialize;

use crate::text::Address;

/// Characters of the picture of the RTOS memory.
const WIDTH: u64 = 64;

/// A board's memory. Ranges are in the order of their addresses; what lies in another range follows it.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryMap {
    /// Name of the board.
    pub board: String,
    /// Why the firmware does not fit.
    pub misfit: Option<String>,
    /// The ranges.
    pub ranges: Vec<MemoryRange>,
    /// The RTOS memory from its start to its end: `#` has bytes of the file, `0` is zeroed, `.` is left to the firmware.
    pub picture: String,
}

/// A range of memory.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryRange {
    /// First address.
    pub address: Address,
    /// Length.
    pub bytes: u64,
    /// Whose it is, or what is loaded there.
    pub what: String,
    /// It is a part of the range before it that is none.
    pub part: bool,
}

impl MemoryMap {
    /// Draws a firmware on a board. `cpu` is the core that it runs on, if that is known.
    pub fn of(board: &Board, elf: &Elf, cpu: Option<u32>) -> MemoryMap {
        let mut ranges = owners(board);
        ranges.extend(cpu.and_then(|cpu| window(board, cpu)));
        ranges.extend(elf.segments().iter().map(|segment| loaded(segment, elf, board)));
        // At the same address the owner comes before what lies in its memory.
        ranges.sort_by_key(|range| (range.address.0, range.part));
        let misfit = board.fits(elf).err().map(|error| error.to_string());
        MemoryMap { board: board.name.clone(), misfit, ranges, picture: picture(board.ram, elf.segments()) }
    }
}

fn range(region: Region, what: String, part: bool) -> MemoryRange {
    MemoryRange { address: Address(region.base), bytes: region.len, what, part }
}

fn owners(board: &Board) -> Vec<MemoryRange> {
    let owners = board.owners().chain([("rtos", board.ram)]);
    owners.map(|(owner, region)| range(region, format!("{owner} memory"), false)).collect()
}

fn window(board: &Board, cpu: u32) -> Option<MemoryRange> {
    let window = board.window(cpu).ok()?;
    Some(range(window, format!("window of cpu {cpu}"), true))
}

fn loaded(segment: &Segment, elf: &Elf, board: &Board) -> MemoryRange {
    let region = Region { base: segment.addr, len: segment.mem_len };
    let holds = |addr| region.contains(Region { base: addr, len: 1 });
    let mut what = format!("segment {}", segment.index);
    if holds(elf.entry()) {
        what += ", entry";
    }
    if holds(elf.resource_table().addr) {
        what += ", resource table";
    }
    let part = board.ram.contains(region);
    if !part {
        what += ", not in the rtos memory";
    }
    range(region, what, part)
}

fn picture(ram: Region, segments: &[Segment]) -> String {
    let cell = (ram.len / WIDTH).max(1);
    let cells = (0..WIDTH).map(|index| Region { base: ram.base.saturating_add(index * cell), len: cell });
    cells.map(|cell| mark(cell, segments)).collect()
}

/// One character for a piece of the memory: the file's bytes win over zeroes.
fn mark(cell: Region, segments: &[Segment]) -> char {
    let file = |segment: &Segment| Region { base: segment.addr, len: segment.file.len() as u64 };
    let memory = |segment: &Segment| Region { base: segment.addr, len: segment.mem_len };
    if segments.iter().any(|segment| !segment.file.is_empty() && file(segment).overlaps(cell)) {
        '#'
    } else if segments.iter().any(|segment| memory(segment).overlaps(cell)) {
        '0'
    } else {
        '.'
    }
}

impl fmt::Display for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory of board {}", self.board)?;
        for range in &self.ranges {
            let indent = if range.part { "  " } else { "" };
            let region = Region { base: range.address.0, len: range.bytes };
            let place = format!("{indent}{region}");
            writeln!(f, "  {place:<26} {:>10}  {indent}{}", size(range.bytes), range.what)?;
        }
        writeln!(f, "  rtos memory [{}]", self.picture)?;
        writeln!(f, "               # from the file, 0 zeroed, . free")?;
        self.misfit.as_ref().map_or(Ok(()), |why| writeln!(f, "  it does not fit: {why}"))
    }
}

/// Whole KiB or MiB, or bytes.
fn size(bytes: u64) -> String {
    match bytes {
        0 => "0 B".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use firmware::test_elf::TestElf;

    use super::*;

    fn map(firmware: &TestElf) -> MemoryMap {
        let elf = Elf::parse(&firmware.build()).expect("valid firmware");
        let board = Board::by_name("qemu-arm64").expect("built in");
        MemoryMap::of(&board, &elf, Some(3))
    }

    #[test]
    fn ranges_are_drawn_where_they_lie() {
        // One MiB is one character.
        let firmware = TestElf::new().raw_segment(0x7a20_0000, &[1; 16], 0x20_0000, 6);
        let expected = "\
memory of board qemu-arm64
  0x40000000..0x40400000          4 MiB  agent memory
  0x70000000..0x70100000          1 MiB  communication memory
    0x70060000..0x70080000      128 KiB    window of cpu 3
  0x70d00000..0x71300000          6 MiB  bulk memory
  0x7a000000..0x7e000000         64 MiB  rtos memory
    0x7a000000..0x7a000004          4 B    segment 0, entry
    0x7a001000..0x7a001058         88 B    segment 1, resource table
    0x7a200000..0x7a400000        2 MiB    segment 2
  rtos memory [#.#0............................................................]
               # from the file, 0 zeroed, . free
";
        assert_eq!(map(&firmware).to_string(), expected);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let map = map(&TestElf::new().segment(u64::MAX - 8, &[1; 8]));
        let last = map.ranges.last().expect("a range");
        assert_eq!((last.what.as_str(), last.part), ("segment 2, not in the rtos memory", false));
        let misfit = map.misfit.expect("a misfit");
        assert!(
            misfit.starts_with("segment 2 (0xfffffffffffffff7..0xffffffffffffffff) lies outside"),
            "{misfit}"
        );
    }
}
