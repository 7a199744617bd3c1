//! The resource table, entry by entry.

use std::fmt;
use std::io::{self, Read};

use firmware::elf::Elf;
use openamp::resource_table::{self, Label, Layout, Region};
use serde::Serialize;

use crate::content::Content;
use crate::text::{Address, TableAddress};

/// Virtio device id of RPMsg.
const RPMSG: u32 = 7;

/// A resource table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Physical address.
    pub address: Address,
    /// Length.
    pub bytes: usize,
    /// All entries, in the order of the table.
    pub entries: Vec<TableEntry>,
}

/// One entry and where it begins in the table.
#[derive(Clone, Debug, Serialize)]
pub struct TableEntry {
    /// Bytes from the start of the table.
    pub offset: usize,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What an entry says. Names are shown with escapes for what is no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "openamp's type of the same name documents the fields")]
pub enum Entry {
    Carveout { da: TableAddress, pa: TableAddress, bytes: u32, flags: u32, name: String },
    Devmem { da: TableAddress, pa: TableAddress, bytes: u32, flags: u32, name: String },
    Trace { da: TableAddress, bytes: u32, name: String },
    Vdev { id: u32, notify_id: u32, features: u32, config_bytes: u32, vrings: Vec<Vring> },
    Endpoints { filled: u32 },
    RingBuffers { da: Address, pa: Address, bytes: u64, state: u8 },
    VringOffsets { offsets: [u32; 8] },
    Xenstore,
    Unknown { number: u32 },
}

/// A vring of the RPMsg device; the host chooses its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vring {
    /// Descriptors.
    pub descriptors: u16,
    /// Alignment of the used ring.
    pub align: u32,
    /// Id for kicks.
    pub notify_id: u32,
}

impl Table {
    /// The table of checked firmware.
    pub(super) fn of(elf: &Elf, file: &Content) -> io::Result<Table> {
        let section = elf.resource_table();
        let mut bytes = Vec::new();
        file.part(&section.file).read_to_end(&mut bytes)?;
        let mut rpmsg = Some(elf.table_layout());
        // `Elf` has walked the same bytes to the end.
        let checked = resource_table::entries(&bytes).into_iter().flatten().filter_map(Result::ok);
        let entries =
            checked.map(|(offset, entry)| TableEntry { offset, entry: entry_of(entry, &mut rpmsg) });
        Ok(Table { address: Address(section.addr), bytes: bytes.len(), entries: entries.collect() })
    }
}

/// `rpmsg` is what is known of the first vdev, until that one has come.
fn entry_of(entry: resource_table::Entry, rpmsg: &mut Option<&Layout>) -> Entry {
    use resource_table::Entry as From;
    match entry {
        From::Carveout(region) => {
            let Region { da, pa, len: bytes, flags, name } = region;
            Entry::Carveout { da: TableAddress(da), pa: TableAddress(pa), bytes, flags, name: text(&name) }
        }
        From::Devmem(region) => {
            let Region { da, pa, len: bytes, flags, name } = region;
            Entry::Devmem { da: TableAddress(da), pa: TableAddress(pa), bytes, flags, name: text(&name) }
        }
        From::Trace(trace) => {
            Entry::Trace { da: TableAddress(trace.da), bytes: trace.len, name: text(&trace.name) }
        }
        From::Vdev(vdev) => Entry::Vdev {
            id: vdev.id,
            notify_id: vdev.notify_id,
            features: vdev.features,
            config_bytes: vdev.config_len,
            vrings: rpmsg.take().map(vrings).unwrap_or_default(),
        },
        From::Endpoints(filled) => Entry::Endpoints { filled },
        From::RingBuffers(rings) => Entry::RingBuffers {
            da: Address(rings.da),
            pa: Address(rings.pa),
            bytes: rings.len,
            state: rings.state,
        },
        From::VringOffsets(offsets) => Entry::VringOffsets { offsets },
        From::Xenstore => Entry::Xenstore,
        From::Unknown(number) => Entry::Unknown { number },
    }
}

fn text(name: &Label) -> String {
    name.as_bytes().escape_ascii().to_string()
}

fn vrings(layout: &Layout) -> Vec<Vring> {
    let vrings = layout.vrings().iter();
    vrings
        .map(|vring| Vring { descriptors: vring.num, align: vring.align, notify_id: vring.notify_id })
        .collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "resource table at {}, {} bytes", self.address, self.bytes)?;
        for TableEntry { offset, entry } in &self.entries {
            writeln!(f, "  {offset:#05x}  {entry}")?;
            for (index, vring) in entry.vrings().iter().enumerate() {
                writeln!(f, "         vring {index}: {vring}")?;
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The vrings of a device, if they are known.
    fn vrings(&self) -> &[Vring] {
        if let Entry::Vdev { vrings, .. } = self { vrings } else { &[] }
    }

    /// The entry with its vrings.
    pub(crate) fn on_one_line(&self) -> String {
        let vrings = self.vrings().iter().enumerate();
        vrings.fold(self.to_string(), |line, (index, vring)| format!("{line}; vring {index}: {vring}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Carveout { da, pa, bytes, flags, name } => {
                write!(f, "carveout \"{name}\": da {da}, pa {pa}, {bytes} bytes, flags {flags:#x}")
            }
            Entry::Devmem { da, pa, bytes, flags, name } => {
                write!(f, "device memory \"{name}\": da {da}, pa {pa}, {bytes} bytes, flags {flags:#x}")
            }
            Entry::Trace { da, bytes, name } => write!(f, "trace \"{name}\": da {da}, {bytes} bytes"),
            Entry::Vdev { id, notify_id, features, config_bytes, .. } => {
                let kind = if *id == RPMSG { " (rpmsg)" } else { "" };
                let service = if *id == RPMSG && features & 1 == 1 { " (name service)" } else { "" };
                write!(f, "vdev {id}{kind}: notify id {notify_id}, features {features:#x}{service}, ")?;
                write!(f, "{config_bytes} bytes of configuration")
            }
            Entry::Endpoints { filled } => write!(f, "endpoint table: {filled} of 64 filled in"),
            Entry::RingBuffers { da, pa, bytes, state } => {
                write!(f, "ring buffers of the debugger: da {da}, pa {pa}, {bytes} bytes, state {state}")
            }
            Entry::VringOffsets { offsets } => {
                f.write_str("vring offsets:")?;
                offsets.iter().try_for_each(|offset| write!(f, " {offset:#x}"))
            }
            Entry::Xenstore => f.write_str("xenstore"),
            Entry::Unknown { number } => write!(f, "type {number}, which means nothing here"),
        }
    }
}

impl fmt::Display for Vring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Vring { descriptors, align, notify_id } = self;
        write!(f, "{descriptors} descriptors, alignment {align}, notify id {notify_id}")
    }
}

#[cfg(test)]
mod tests {
    use firmware::test_elf::{TABLE_ADDR, TestElf};

    use super::*;

    fn shown(table: &[u8]) -> String {
        let file = Content::from(TestElf::new().resource_table(table).build());
        Table::of(&file.elf().expect("valid firmware"), &file).expect("readable").to_string()
    }

    /// A table of these entries, given as words, and the RPMsg device behind them.
    fn table(entries: &[Vec<u32>]) -> Vec<u8> {
        let vdev = firmware::test_elf::minimal_table().split_off(0x14);
        let count = entries.len() as u32 + 1;
        let mut words = vec![1, count, 0, 0];
        let mut at = 16 + 4 * count;
        for entry in entries {
            words.push(at);
            at += 4 * entry.len() as u32;
        }
        words.push(at);
        words.extend(entries.iter().flatten());
        words.iter().flat_map(|word| word.to_le_bytes()).chain(vdev).collect()
    }

    fn padded(words: &[u32], len: usize) -> Vec<u32> {
        let mut words = words.to_vec();
        words.resize(len / 4, 0);
        words
    }

    #[test]
    fn the_smallest_table_is_shown() {
        let expected = format!(
            "resource table at {TABLE_ADDR:#x}, 88 bytes\n\
             \x20 0x014  vdev 7 (rpmsg): notify id 2, features 0x1 (name service), 0 bytes of configuration\n\
             \x20        vring 0: 8 descriptors, alignment 4, notify id 0\n\
             \x20        vring 1: 8 descriptors, alignment 4, notify id 1\n"
        );
        assert_eq!(shown(&firmware::test_elf::minimal_table()), expected);
    }

    #[test]
    fn every_kind_of_entry_is_shown() {
        let name = u32::from_le_bytes(*b"a\x1bb\0");
        for (entry, line) in [
            (
                padded(&[0, 0x7000_0000, u32::MAX, 0x1000, 3, 0, name], 56),
                "carveout \"a\\x1bb\": da 0x70000000, pa any, 4096 bytes, flags 0x3",
            ),
            (
                padded(&[1, u32::MAX, 0x9000, 16, 0, 0, name], 56),
                "device memory \"a\\x1bb\": da any, pa 0x9000, 16 bytes, flags 0x0",
            ),
            (padded(&[2, 0x7000_0000, 64, 0, name], 48), "trace \"a\\x1bb\": da 0x70000000, 64 bytes"),
            (padded(&[128, 2], 2568), "endpoint table: 2 of 64 filled in"),
            (
                vec![129, 0, 16, 1, 32, 0, 0x2000, 0, 4, 0],
                "ring buffers of the debugger: da 0x100000010, pa 0x20, 8192 bytes, state 4",
            ),
            (vec![130, 1, 2, 3, 4, 5, 6, 7, 0xff], "vring offsets: 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0xff"),
            (vec![131], "xenstore"),
            (vec![500], "type 500, which means nothing here"),
        ] {
            let text = shown(&table(&[entry]));
            assert_eq!(text.lines().nth(1), Some(format!("  0x018  {line}").as_str()), "{text}");
        }
    }
}
