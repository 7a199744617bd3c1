//! Finds the resource table by the name of its section, as MICA and Linux do.

use std::ops::Range;

use object::elf::{self, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian, ReadRef};
use openamp::resource_table::{self, Layout, MAX_LEN};

use super::{ElfError, Header, Part, Segment, bytes, len, range};

const NAME: &[u8] = b".resource_table";

/// A section that is loaded: the bytes of `file` are at `addr` when the firmware starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Physical address.
    pub addr: u64,
    /// Bytes in the file.
    pub file: Range<usize>,
}

pub(super) fn parse<'f>(
    header: &Header,
    file: impl ReadRef<'f>,
    segments: &[Segment],
) -> Result<(Section, Layout), ElfError> {
    let (index, header) = find(header, file)?;
    let (addr, size) = (header.sh_addr(LittleEndian), header.sh_size(LittleEndian));
    if size > MAX_LEN as u64 {
        return Err(ElfError::TableLen(size));
    }
    if !addr.is_multiple_of(4) {
        return Err(ElfError::TableAlign(addr));
    }
    let range = range(file, Part::Section(index), header.sh_offset(LittleEndian), size)?;
    if !segments.iter().any(|segment| loads(segment, addr, &range)) {
        return Err(ElfError::TableNotLoaded(addr));
    }
    let layout = resource_table::parse(bytes(file, range.clone()))?;
    Ok((Section { addr, file: range }, layout))
}

/// True if the segment puts just these bytes of the file at that address.
fn loads(segment: &Segment, addr: u64, file: &Range<usize>) -> bool {
    let offset = file.start.checked_sub(segment.file.start).map(|offset| offset as u64);
    segment.holds_file_bytes(addr, file.len() as u64) && offset == addr.checked_sub(segment.addr)
}

fn find<'f>(
    header: &Header,
    file: impl ReadRef<'f>,
) -> Result<(usize, &'f SectionHeader64<LittleEndian>), ElfError> {
    check_headers(header, file)?;
    let table = header.sections(LittleEndian, file).map_err(malformed(Part::SectionNames))?;
    let mut found = None;
    for (index, section) in table.enumerate() {
        let name = table.section_name(LittleEndian, section).map_err(malformed(Part::Section(index.0)))?;
        if name != NAME || section.sh_type(LittleEndian) != elf::SHT_PROGBITS {
            continue;
        }
        if let Some((first, _)) = found.replace((index.0, section)) {
            return Err(ElfError::TwoTables(first, index.0));
        }
    }
    found.ok_or(ElfError::NoTable)
}

/// The section headers exist and their contents lie in the file.
fn check_headers<'f>(header: &Header, file: impl ReadRef<'f>) -> Result<(), ElfError> {
    let part = Part::SectionHeaders;
    let count = if header.e_shoff(LittleEndian) < len(file) as u64 {
        header.shnum(LittleEndian, file).map_err(malformed(part))?
    } else {
        header.e_shnum(LittleEndian).into()
    };
    let size = u64::from(count).saturating_mul(size_of::<SectionHeader64<LittleEndian>>() as u64);
    range(file, part, header.e_shoff(LittleEndian), size)?;
    let sections = header.section_headers(LittleEndian, file).map_err(malformed(part))?;
    if sections.is_empty() {
        return Err(ElfError::NoSections);
    }
    for (index, section) in sections.iter().enumerate() {
        if let Some((offset, size)) = section.file_range(LittleEndian) {
            range(file, Part::Section(index), offset, size)?;
        }
    }
    Ok(())
}

fn malformed(part: Part) -> impl Fn(object::read::Error) -> ElfError {
    move |why| ElfError::Malformed { part, why }
}
