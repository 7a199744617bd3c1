//! What can be said of a firmware file without running it: checksums, segments, resource table, services.

mod services;
mod table;

use std::fmt;
use std::io;

use firmware::checksum::Sha256;
use firmware::elf::{Elf, ElfError, Segment};
use serde::Serialize;

use crate::content::Content;
use crate::section::pieces;
use crate::text::Address;
use services::Names;

pub use table::{Entry, Table, TableEntry, Vring};

/// A firmware file.
#[derive(Clone, Debug, Serialize)]
pub struct Firmware {
    /// Length of the file.
    pub bytes: u64,
    /// CRC-32 in the form of labels.
    pub crc32: String,
    /// SHA-256 in the form of labels.
    pub sha256: String,
    /// Why the shim would refuse it; nothing more is known then.
    pub refused: Option<String>,
    /// What is in it.
    pub contents: Option<Contents>,
}

/// Firmware that the shim would take, on a board where it fits.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    /// Address of the first instruction.
    pub entry: Address,
    /// What is loaded, in the order of the file.
    pub segments: Vec<Load>,
    /// What it asks of the host.
    pub resource_table: Table,
    /// Names of services that stand in the loaded bytes. Which of them it announces shows when it runs.
    pub services: Vec<String>,
}

/// One load segment.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Index of the program header.
    pub index: usize,
    /// Physical address.
    pub address: Address,
    /// Bytes that come from the file.
    pub file_bytes: usize,
    /// Bytes in memory; those beyond the file's are zeroed.
    pub memory_bytes: u64,
    /// It may hold code.
    pub executable: bool,
    /// SHA-256 of the bytes from the file.
    pub sha256: String,
}

impl Firmware {
    /// Looks at a file; also gives the verdict that the shim would have.
    pub fn of(file: &Content) -> io::Result<(Firmware, Result<Elf, ElfError>)> {
        let elf = file.elf();
        let firmware = Firmware {
            bytes: file.len(),
            crc32: file.crc32().to_owned(),
            sha256: format!("sha256:{}", file.sha256()),
            refused: elf.as_ref().err().map(ToString::to_string),
            contents: elf.as_ref().ok().map(|elf| contents(elf, file)).transpose()?,
        };
        Ok((firmware, elf))
    }
}

fn contents(elf: &Elf, file: &Content) -> io::Result<Contents> {
    let mut names = Names::default();
    let segments = elf.segments().iter().map(|segment| load(segment, file, &mut names));
    Ok(Contents {
        entry: Address(elf.entry()),
        segments: segments.collect::<io::Result<_>>()?,
        resource_table: Table::of(elf, file)?,
        services: names.finish(),
    })
}

/// Reads the bytes of a segment once, for all that is to be known of them.
fn load(segment: &Segment, file: &Content, names: &mut Names) -> io::Result<Load> {
    let mut sum = Sha256::default();
    pieces(file.part(&segment.file), io::Error::from, |piece| {
        sum.update(piece);
        names.look(piece);
        Ok(())
    })?;
    names.end();
    Ok(Load {
        index: segment.index,
        address: Address(segment.addr),
        file_bytes: segment.file.len(),
        memory_bytes: segment.mem_len,
        executable: segment.executable,
        sha256: format!("sha256:{}", sum.finish()),
    })
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  size     {} bytes", self.bytes)?;
        writeln!(f, "  crc-32   {}", self.crc32)?;
        writeln!(f, "  sha-256  {}", self.sha256)?;
        if let Some(why) = &self.refused {
            writeln!(f, "  refused  {why}")?;
        }
        self.contents.as_ref().map_or(Ok(()), |contents| contents.fmt(f))
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  entry    {}", self.entry)?;
        writeln!(f, "\nsegments")?;
        for load in &self.segments {
            writeln!(f, "  {load}")?;
        }
        write!(f, "\n{}", self.resource_table)?;
        let services = if self.services.is_empty() { "none".to_owned() } else { self.services.join(", ") };
        writeln!(f, "\nservices named in the loaded bytes\n  {services}")
    }
}

impl Load {
    /// All but its place and its bytes.
    pub(crate) fn shape(&self) -> String {
        let kind = if self.executable { "code" } else { "data" };
        format!("{kind}, {} bytes, {} of them from the file", self.memory_bytes, self.file_bytes)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<2}  {}  {}", self.index, self.address, self.shape())
    }
}
