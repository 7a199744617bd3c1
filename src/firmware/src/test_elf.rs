//! Writes small ELF files, valid and broken, for tests. Only there with the feature `test-elf`.
//!
//! The defaults are a valid firmware: segment 0 is code at [`CODE_ADDR`], segment 1 the resource table at
//! [`TABLE_ADDR`]; segments that a test adds follow.

/// Address of the code and the entry point: the first of the RTOS memory of `qemu-arm64`.
pub const CODE_ADDR: u64 = 0x7a00_0000;
/// Address of the resource table.
pub const TABLE_ADDR: u64 = 0x7a00_1000;

const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
const SECTION_HEADER_LEN: usize = 64;
const PF_RWX: u32 = 7;
/// `b .`: waits for ever.
const CODE: [u8; 4] = 0x1400_0000_u32.to_le_bytes();
const NAMES: &[u8] = b"\0.shstrtab\0.resource_table\0";
const NAME_SHSTRTAB: u32 = 1;
const NAME_TABLE: u32 = 11;

/// The smallest useful table (88 bytes): one vdev with name service and two vrings of 8 descriptors.
pub fn minimal_table() -> Vec<u8> {
    let words: [u32; 22] =
        [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, u32::MAX, 4, 8, 0, 0, u32::MAX, 4, 8, 1, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The table of MICA's image with a debugger: endpoint table at 0x1c, debug rings of 8 KiB at 0xa24, vdev at 0xa4c.
pub fn table_with_vendor_entries() -> Vec<u8> {
    let mut words: Vec<u32> = vec![1, 3, 0, 0, 0x1c, 0xa24, 0xa4c, 128];
    words.resize(0xa24 / 4, 0);
    words.extend([129, 0, 0, 0, 0, 0, 0x2000, 0, 0, 0]);
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // The entry of the vdev, behind header and offset of the smallest table.
    [&head, minimal_table().get(0x14..).unwrap_or_default()].concat()
}

/// An ELF file to be.
#[derive(Clone, Debug)]
pub struct TestElf {
    class: u8,
    byte_order: u8,
    kind: u16,
    machine: u16,
    entry: u64,
    segments: Vec<TestSegment>,
    tables: Vec<(u64, Vec<u8>)>,
    table_type: u32,
    sections: bool,
}

#[derive(Clone, Debug)]
struct TestSegment {
    addr: u64,
    bytes: Vec<u8>,
    mem_len: u64,
    flags: u32,
}

impl Default for TestElf {
    fn default() -> TestElf {
        TestElf {
            class: 2,
            byte_order: 1,
            kind: 2,
            machine: 183,
            entry: CODE_ADDR,
            segments: Vec::new(),
            tables: vec![(TABLE_ADDR, minimal_table())],
            table_type: 1,
            sections: true,
        }
        .segment(CODE_ADDR, &CODE)
        .segment(TABLE_ADDR, &minimal_table())
    }
}

impl TestElf {
    /// A valid firmware.
    pub fn new() -> TestElf {
        TestElf::default()
    }

    /// Adds a load segment (read, write, execute) with these bytes.
    pub fn segment(self, addr: u64, bytes: &[u8]) -> TestElf {
        self.raw_segment(addr, bytes, bytes.len() as u64, PF_RWX)
    }

    /// Adds a load segment with any size in memory and any flags.
    pub fn raw_segment(mut self, addr: u64, bytes: &[u8], mem_len: u64, flags: u32) -> TestElf {
        self.segments.push(TestSegment { addr, bytes: bytes.to_vec(), mem_len, flags });
        self
    }

    /// Takes all segments away, also those of the code and the resource table.
    pub fn without_segments(mut self) -> TestElf {
        self.segments.clear();
        self
    }

    /// Puts other bytes into the resource table and its segment.
    pub fn resource_table(mut self, bytes: &[u8]) -> TestElf {
        self.segments.retain(|segment| segment.addr != TABLE_ADDR);
        self.tables = vec![(TABLE_ADDR, bytes.to_vec())];
        self.segment(TABLE_ADDR, bytes)
    }

    /// Adds a section `.resource_table` that is loaded by no segment of its own.
    pub fn table_section(mut self, addr: u64, bytes: &[u8]) -> TestElf {
        self.tables.push((addr, bytes.to_vec()));
        self
    }

    /// Takes the sections `.resource_table` away.
    pub fn without_table(mut self) -> TestElf {
        self.tables.clear();
        self
    }

    /// Sets the type of the sections `.resource_table`.
    pub fn table_type(mut self, table_type: u32) -> TestElf {
        self.table_type = table_type;
        self
    }

    /// Writes no section headers at all.
    pub fn without_sections(mut self) -> TestElf {
        self.sections = false;
        self
    }

    /// Sets `e_machine`.
    pub fn machine(mut self, machine: u16) -> TestElf {
        self.machine = machine;
        self
    }

    /// Sets the class: 1 is 32-bit, 2 is 64-bit. The file keeps the 64-bit form.
    pub fn class(mut self, class: u8) -> TestElf {
        self.class = class;
        self
    }

    /// Sets the byte order: 1 is little endian, 2 big endian. The file keeps the little-endian form.
    pub fn byte_order(mut self, byte_order: u8) -> TestElf {
        self.byte_order = byte_order;
        self
    }

    /// Sets `e_type`: 2 is an executable, 3 a shared object.
    pub fn kind(mut self, kind: u16) -> TestElf {
        self.kind = kind;
        self
    }

    /// Sets the entry point.
    pub fn entry(mut self, entry: u64) -> TestElf {
        self.entry = entry;
        self
    }

    /// The bytes of the file: file header, program headers, contents of the segments, section names, section
    /// headers.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0; HEADER_LEN + PROGRAM_HEADER_LEN * self.segments.len()];
        let offsets: Vec<u64> =
            self.segments.iter().map(|segment| append(&mut file, &segment.bytes)).collect();
        let sections = self.section_headers(&mut file, &offsets);
        let section_offset = append(&mut file, &sections.concat());
        let section_count = sections.len() as u16;
        let programs: Vec<u8> = self
            .segments
            .iter()
            .zip(&offsets)
            .flat_map(|(segment, offset)| program(segment, *offset))
            .collect();
        let header = self.header(section_offset, section_count);
        file.splice(..HEADER_LEN + programs.len(), header.into_iter().chain(programs));
        file
    }

    fn header(&self, section_offset: u64, section_count: u16) -> Vec<u8> {
        let mut header =
            vec![0x7f, b'E', b'L', b'F', self.class, self.byte_order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([self.kind, self.machine].iter().flat_map(|half| half.to_le_bytes()));
        header.extend(1u32.to_le_bytes());
        let section_offset = if self.sections { section_offset } else { 0 };
        header.extend(
            [self.entry, HEADER_LEN as u64, section_offset].iter().flat_map(|word| word.to_le_bytes()),
        );
        header.extend(0u32.to_le_bytes());
        let program_count = self.segments.len() as u16;
        let sizes = [HEADER_LEN as u16, PROGRAM_HEADER_LEN as u16, program_count, SECTION_HEADER_LEN as u16];
        let names = u16::from(self.sections);
        header.extend(sizes.iter().chain(&[section_count, names]).flat_map(|half| half.to_le_bytes()));
        header
    }

    /// The null section, the names, the resource tables.
    fn section_headers(&self, file: &mut Vec<u8>, segment_offsets: &[u64]) -> Vec<Vec<u8>> {
        if !self.sections {
            return Vec::new();
        }
        let names = append(file, NAMES);
        let mut headers =
            vec![section(0, 0, 0, 0, 0), section(NAME_SHSTRTAB, 3, 0, names, NAMES.len() as u64)];
        for (addr, bytes) in &self.tables {
            let loaded = self.segments.iter().position(|segment| segment.addr == *addr);
            let loaded = loaded.and_then(|index| segment_offsets.get(index).copied());
            let offset = loaded.unwrap_or_else(|| append(file, bytes));
            headers.push(section(NAME_TABLE, self.table_type, *addr, offset, bytes.len() as u64));
        }
        headers
    }
}

/// Appends at the next multiple of 8; returns the offset.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    file.resize(file.len().next_multiple_of(8), 0);
    let offset = file.len() as u64;
    file.extend(bytes);
    offset
}

fn program(segment: &TestSegment, offset: u64) -> Vec<u8> {
    let words = [offset, segment.addr, segment.addr, segment.bytes.len() as u64, segment.mem_len, 8];
    let head = [1, segment.flags];
    head.iter()
        .flat_map(|half| half.to_le_bytes())
        .chain(words.iter().flat_map(|word| word.to_le_bytes()))
        .collect()
}

fn section(name: u32, kind: u32, addr: u64, offset: u64, len: u64) -> Vec<u8> {
    let mut header: Vec<u8> = [name, kind].iter().flat_map(|half| half.to_le_bytes()).collect();
    header.extend([0, addr, offset, len, 0, 4, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
    header
}
