//! The load segments: what goes where in the memory of the RTOS.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use object::elf::{self, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, ReadRef};

use super::{ElfError, Header, Part, range};

/// One load segment. Its bytes in the file go to `addr`, the rest of `mem_len` is to be zeroed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of the program header, for messages.
    pub index: usize,
    /// Physical address (`p_paddr`), where MICA loads to; `addr + mem_len` does not overflow.
    pub addr: u64,
    /// Bytes in memory, at least one and at least as many as `file` has.
    pub mem_len: u64,
    /// Bytes in the file.
    pub file: Range<usize>,
    /// The firmware may run code in it.
    pub executable: bool,
}

impl Segment {
    /// True if the `len` bytes at `addr` come from the file.
    pub(super) fn holds_file_bytes(&self, addr: u64, len: u64) -> bool {
        let skip = addr.checked_sub(self.addr).and_then(|skip| skip.checked_add(len));
        skip.is_some_and(|end| end <= self.file.len() as u64)
    }

    /// Address after the last; cannot overflow for a segment that was parsed.
    fn end(&self) -> u64 {
        self.addr.saturating_add(self.mem_len)
    }
}

pub(super) fn parse<'f>(header: &Header, file: impl ReadRef<'f>) -> Result<Vec<Segment>, ElfError> {
    let mut segments = Vec::new();
    for (index, program) in program_headers(header, file)?.iter().enumerate() {
        // A segment without memory is legal and means nothing.
        if program.p_type(LittleEndian) == elf::PT_LOAD && program.p_memsz(LittleEndian) > 0 {
            segments.push(segment(index, program, file)?);
        }
    }
    if segments.is_empty() {
        return Err(ElfError::NoSegment);
    }
    disjoint(&segments)?;
    Ok(segments)
}

fn program_headers<'f>(
    header: &Header,
    file: impl ReadRef<'f>,
) -> Result<&'f [ProgramHeader64<LittleEndian>], ElfError> {
    let part = Part::ProgramHeaders;
    let malformed = |why| ElfError::Malformed { part, why };
    let count = header.phnum(LittleEndian, file).map_err(malformed)?;
    let len = u64::from(count).saturating_mul(size_of::<ProgramHeader64<LittleEndian>>() as u64);
    range(file, part, header.e_phoff(LittleEndian), len)?;
    header.program_headers(LittleEndian, file).map_err(malformed)
}

fn segment<'f>(
    index: usize,
    program: &ProgramHeader64<LittleEndian>,
    file: impl ReadRef<'f>,
) -> Result<Segment, ElfError> {
    let (addr, mem_len) = (program.p_paddr(LittleEndian), program.p_memsz(LittleEndian));
    let (offset, file_len) = program.file_range(LittleEndian);
    let file = range(file, Part::Segment(index), offset, file_len)?;
    if file_len > mem_len {
        return Err(ElfError::SegmentShort { index, file_len, mem_len });
    }
    if addr.checked_add(mem_len).is_none() {
        return Err(ElfError::SegmentWraps { index, addr, mem_len });
    }
    let executable = program.p_flags(LittleEndian).contains(elf::PF_X);
    Ok(Segment { index, addr, mem_len, file, executable })
}

fn disjoint(segments: &[Segment]) -> Result<(), ElfError> {
    // A heap, as a file may have millions of segments.
    let in_order = segments.iter().enumerate().map(|(place, segment)| Reverse((segment.addr, place)));
    let mut rest: BinaryHeap<_> = in_order.collect();
    let mut previous: Option<&Segment> = None;
    while let Some(Reverse((addr, place))) = rest.pop() {
        let second = &segments[place];
        if let Some(first) = previous.filter(|first| addr < first.end()) {
            return Err(ElfError::Overlap { first: first.index, second: second.index, addr });
        }
        previous = Some(second);
    }
    Ok(())
}
