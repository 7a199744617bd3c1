//! Why an ELF file is refused.

use std::fmt;

use openamp::resource_table::{MAX_LEN, TableError};

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The file header.
    FileHeader,
    /// The table of program headers.
    ProgramHeaders,
    /// The table of section headers.
    SectionHeaders,
    /// The names of the sections.
    SectionNames,
    /// What is loaded for the program header of this index.
    Segment(usize),
    /// What belongs to the section header of this index.
    Section(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::FileHeader => f.write_str("file header"),
            Part::ProgramHeaders => f.write_str("program header table"),
            Part::SectionHeaders => f.write_str("section header table"),
            Part::SectionNames => f.write_str("section name table"),
            Part::Segment(index) => write!(f, "segment {index}"),
            Part::Section(index) => write!(f, "section {index}"),
        }
    }
}

/// Why an ELF file is refused. Offsets and lengths are bytes; segments and sections are named by the index of
/// their header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It starts otherwise.
    #[error("not an elf file: it starts with {0:02x?}, an elf file with [7f, 45, 4c, 46]")]
    NotElf(Vec<u8>),
    /// A field of the header says that the file is of another kind.
    #[error("elf header: {field} is {value}, it must be {expected} ({meaning})")]
    Header {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u16,
        /// What it must be.
        expected: u16,
        /// What that value stands for.
        meaning: &'static str,
    },
    /// Made for another processor.
    #[error("elf header: machine is {}, it must be 183 (aarch64)", machine_name(*.0))]
    Machine(u16),
    /// A part of the file lies beyond its end.
    #[error("elf file is truncated: {part} takes {len} bytes from byte {offset}, the file has {file_len}")]
    Truncated {
        /// The part.
        part: Part,
        /// Its first byte.
        offset: u64,
        /// Its length.
        len: u64,
        /// Length of the file.
        file_len: usize,
    },
    /// A part of the file contradicts itself.
    #[error("elf file is malformed: {part}: {why}")]
    Malformed {
        /// The part.
        part: Part,
        /// What is wrong with it.
        why: object::read::Error,
    },
    /// Nothing to load.
    #[error("elf file has no load segment, there is nothing to run")]
    NoSegment,
    /// More bytes in the file than in memory.
    #[error("segment {index} has {file_len} bytes in the file but only {mem_len} in memory")]
    SegmentShort {
        /// The segment.
        index: usize,
        /// Bytes in the file.
        file_len: u64,
        /// Bytes in memory.
        mem_len: u64,
    },
    /// The segment ends beyond the highest address.
    #[error("segment {index} has {mem_len:#x} bytes from {addr:#x} on, beyond the highest address")]
    SegmentWraps {
        /// The segment.
        index: usize,
        /// Its physical address.
        addr: u64,
        /// Bytes in memory.
        mem_len: u64,
    },
    /// Two segments want the same memory.
    #[error("segments {first} and {second} overlap at {addr:#x}")]
    Overlap {
        /// The segment with the lower address.
        first: usize,
        /// The other.
        second: usize,
        /// First address that both have.
        addr: u64,
    },
    /// Execution would not start in code of this file.
    #[error("entry point {0:#x} is not in the file's part of an executable load segment")]
    Entry(u64),
    /// The table of section headers is missing, so the resource table cannot be found.
    #[error("elf file has no section headers, the resource table is found by them; strip with --strip-debug")]
    NoSections,
    /// No resource table, so there is no way to talk to the firmware.
    #[error("elf file has no section .resource_table of type progbits")]
    NoTable,
    /// It is not clear which one the firmware uses.
    #[error("elf file has two sections .resource_table: {0} and {1}")]
    TwoTables(usize, usize),
    /// The table cannot be a table.
    #[error("section .resource_table is {0} bytes long, at most {MAX_LEN} are allowed")]
    TableLen(u64),
    /// Its words could not be accessed at once.
    #[error("section .resource_table is at {0:#x}, its address must be a multiple of 4")]
    TableAlign(u64),
    /// The firmware would not find the table in memory that the host found in the file.
    #[error(
        "section .resource_table at {0:#x} is not in the file's part of a load segment with that physical address"
    )]
    TableNotLoaded(u64),
    /// The table's contents.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The number, with the name of the machines that firmware is taken for most.
fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        40 => "32-bit arm",
        62 => "x86-64",
        243 => "risc-v",
        _ => return machine.to_string(),
    };
    format!("{machine} ({name})")
}
