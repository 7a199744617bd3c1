//! The ELF file of a firmware, checked once for everybody.
//!
//! MICA's rules differ from Linux's for programs: a segment is loaded at its *physical* address, execution
//! starts at `e_entry` with the MMU off, and the resource table is found by its section's name. Everything in
//! the file is taken as hostile; nothing is read before its range is known to lie in the file.

mod error;
mod segment;
mod table;

use std::io::{Read, Seek};
use std::ops::Range;

use object::elf::{self, FileHeader64};
use object::read::elf::FileHeader;
use object::{LittleEndian, ReadCache, ReadRef};
use openamp::resource_table::Layout;

pub use error::{ElfError, Part};
pub use segment::Segment;
pub use table::Section;

/// Having one proves: a little-endian AArch64 executable whose segments have valid, disjoint addresses and
/// lie in the file, whose entry point is in loaded code, and whose resource table is loaded and well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    entry: u64,
    segments: Vec<Segment>,
    resource_table: Section,
    table_layout: Layout,
}

impl Elf {
    /// Checks the bytes of an ELF file. The ranges of the result are ranges of `file`.
    pub fn parse(file: &[u8]) -> Result<Elf, ElfError> {
        Elf::of(file)
    }

    /// The same for a file that is not in memory: only what describes it is read, not what is loaded.
    pub fn read(file: impl Read + Seek) -> Result<Elf, ElfError> {
        Elf::of(&ReadCache::new(file))
    }

    fn of<'f>(file: impl ReadRef<'f>) -> Result<Elf, ElfError> {
        let header = header(file)?;
        let segments = segment::parse(header, file)?;
        let entry = header.e_entry(LittleEndian);
        if !segments.iter().any(|segment| segment.executable && segment.holds_file_bytes(entry, 1)) {
            return Err(ElfError::Entry(entry));
        }
        let (resource_table, table_layout) = table::parse(header, file, &segments)?;
        Ok(Elf { entry, segments, resource_table, table_layout })
    }

    /// Physical address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// What is to be loaded, in the order of the file; never empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Where the resource table is, in memory and in the file.
    pub fn resource_table(&self) -> &Section {
        &self.resource_table
    }

    /// What the resource table says.
    pub fn table_layout(&self) -> &Layout {
        &self.table_layout
    }
}

type Header = FileHeader64<LittleEndian>;

fn header<'f>(file: impl ReadRef<'f>) -> Result<&'f Header, ElfError> {
    let magic = bytes(file, 0..elf::ELFMAG.len().min(len(file)));
    if magic != elf::ELFMAG {
        return Err(ElfError::NotElf(magic.to_vec()));
    }
    let header: &Header = file.read_at(0).map_err(|()| ElfError::Truncated {
        part: Part::FileHeader,
        offset: 0,
        len: size_of::<Header>() as u64,
        file_len: len(file),
    })?;
    check_ident(header.e_ident())?;
    let machine = header.e_machine(LittleEndian);
    if machine != elf::EM_AARCH64 {
        return Err(ElfError::Machine(machine.0));
    }
    check("type", header.e_type(LittleEndian).0, elf::ET_EXEC.0, "executable, linked to fixed addresses")?;
    Ok(header)
}

fn check_ident(ident: &elf::Ident) -> Result<(), ElfError> {
    check("class", ident.class.0.into(), elf::ELFCLASS64.0.into(), "64-bit")?;
    check("byte order", ident.data.0.into(), elf::ELFDATA2LSB.0.into(), "little endian")?;
    check("version", ident.version.0.into(), elf::EV_CURRENT.0.into(), "there is no other")
}

fn check(field: &'static str, value: u16, expected: u16, meaning: &'static str) -> Result<(), ElfError> {
    if value == expected { Ok(()) } else { Err(ElfError::Header { field, value, expected, meaning }) }
}

/// Bytes in the file; none of one that can't be read.
fn len<'f>(file: impl ReadRef<'f>) -> usize {
    file.len().ok().and_then(|len| usize::try_from(len).ok()).unwrap_or(0)
}

/// The bytes of a range that [`range`] gave; none if they can't be read.
fn bytes<'f>(file: impl ReadRef<'f>, range: Range<usize>) -> &'f [u8] {
    file.read_bytes_at(range.start as u64, range.len() as u64).unwrap_or_default()
}

/// Bytes `offset..offset + len` of the file, if it has them.
fn range<'f>(file: impl ReadRef<'f>, part: Part, offset: u64, len: u64) -> Result<Range<usize>, ElfError> {
    let file_len = self::len(file);
    let truncated = ElfError::Truncated { part, offset, len, file_len };
    let end = offset.checked_add(len).filter(|end| *end <= file_len as u64);
    match (usize::try_from(offset), end.map(usize::try_from)) {
        (Ok(start), Some(Ok(end))) => Ok(start..end),
        _ => Err(truncated),
    }
}

#[cfg(test)]
mod tests;
