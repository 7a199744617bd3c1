//! A layer that is an EROFS file system, as far as the builder's own are: nothing in it packed, nothing outside of it.
//!
//! Formats are those of `fs/erofs/erofs_fs.h` of Linux. All numbers are little endian. An inode has a number; it lies at that
//! many times 32 bytes behind the start of the metadata.

use std::io::{Read, Write};

use super::{Effect, LayerError, MAX_ENTRIES};
use crate::section::{Section, pieces};

/// Where the superblock is.
pub(super) const AT: u64 = 1024;
/// What it begins with.
pub(super) const MAGIC: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();
/// As much of it as is read.
const SUPERBLOCK: usize = 128;
/// Features of the whole file system that change nothing for files that are not packed: where padding goes.
const HARMLESS: u32 = 1;
/// Blocks of 512 bytes to 64 KiB.
const BLOCK_BITS: std::ops::RangeInclusive<u8> = 9..=16;
/// Bytes of an inode's place.
const SLOT: u64 = 32;
/// Bytes of an entry of a directory, before the names.
const ENTRY: usize = 12;
/// Longest directory that is read: more than [`MAX_ENTRIES`] short names.
const MAX_DIRECTORY: u64 = 2 << 20;
/// Ways in which an inode has its data: whole in blocks, or with what does not fill a block behind the inode.
const PLAIN: u16 = 0;
const INLINE: u16 = 2;
/// Types of files in a mode, as everywhere in Unix.
const TYPE: u16 = 0o170_000;
const REGULAR: u16 = 0o100_000;
const DIRECTORY: u16 = 0o040_000;
const CHARACTER_DEVICE: u16 = 0o020_000;

/// Why a file system cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErofsError {
    /// A field of the superblock that cannot be.
    #[error("superblock: {field} is {value}, it must be {right}")]
    Superblock {
        /// Which one.
        field: &'static str,
        /// What it has.
        value: u64,
        /// What would be right.
        right: &'static str,
    },
    /// It is made in another way than the builder's.
    #[error("inode {0}: its data is packed or in chunks, only plain data can be read")]
    Layout(u64),
    /// Data or a directory that lies elsewhere than in the file system, or contradicts itself.
    #[error("inode {inode}: {what}")]
    Broken {
        /// Its number.
        inode: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// What the layer does to a path, which is relative. A device 0:0 is a whiteout.
pub(super) fn effect(layer: &Section, wanted: &str, limit: u64) -> Result<Effect, LayerError> {
    let system = FileSystem::open(layer)?;
    let mut inode = system.inode(system.root)?;
    for part in wanted.split('/').filter(|part| !part.is_empty()) {
        if inode.kind != Kind::Directory {
            return Ok(Effect::Removed);
        }
        let Some(number) = system.entry(&inode, part)? else { return Ok(Effect::None) };
        inode = system.inode(number)?;
    }
    let path = || format!("/{wanted}");
    match inode.kind {
        Kind::Regular if inode.len > limit => Err(LayerError::Long { path: path(), len: inode.len, limit }),
        Kind::Regular => Ok(Effect::File(system.copy(&inode)?)),
        Kind::Whiteout => Ok(Effect::Removed),
        Kind::Directory | Kind::Other => Err(LayerError::NotRegular(path())),
    }
}

struct FileSystem<'a> {
    all: &'a Section,
    block_bits: u8,
    /// Number of the root's inode.
    root: u64,
    /// Where the metadata begins.
    metadata: u64,
}

struct Inode {
    number: u64,
    kind: Kind,
    len: u64,
    /// Whole blocks, one after the other.
    blocks: Section,
    /// What follows them, behind the inode.
    tail: Section,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Directory,
    Whiteout,
    Other,
}

impl FileSystem<'_> {
    fn open(all: &Section) -> Result<FileSystem<'_>, LayerError> {
        let mut superblock = [0; SUPERBLOCK];
        all.read_exact_at(&mut superblock, AT)?;
        let wrong = |field, value, right| ErofsError::Superblock { field, value, right };
        let features = u32::from_le_bytes(at(&superblock, 80));
        if features & !HARMLESS != 0 {
            return Err(wrong("feature_incompat", features.into(), "0 or 1: nothing packed or shared").into());
        }
        let block_bits = superblock[12];
        if !BLOCK_BITS.contains(&block_bits) {
            return Err(wrong("blkszbits", block_bits.into(), "9 to 16").into());
        }
        let directory_bits = superblock[90];
        if directory_bits != 0 {
            return Err(wrong("dirblkbits", directory_bits.into(), "0").into());
        }
        let metadata = u64::from(u32::from_le_bytes(at(&superblock, 40))) << block_bits;
        let root = u16::from_le_bytes(at(&superblock, 14)).into();
        Ok(FileSystem { all, block_bits, root, metadata })
    }

    fn inode(&self, number: u64) -> Result<Inode, LayerError> {
        let broken = |what| ErofsError::Broken { inode: number, what };
        let place = number.checked_mul(SLOT).and_then(|place| place.checked_add(self.metadata));
        let place = place.ok_or_else(|| broken("its number is beyond the file system"))?;
        let mut compact = [0; SLOT as usize];
        self.all.read_exact_at(&mut compact, place)?;
        let format = u16::from_le_bytes(at(&compact, 0));
        let is_extended = format & 1 == 1;
        let (len, size) = if is_extended {
            (u64::from_le_bytes(at(&compact, 8)), 2 * SLOT)
        } else {
            (u32::from_le_bytes(at(&compact, 8)).into(), SLOT)
        };
        // Twelve bytes of head and the first attribute's four, four for each further one.
        let attributes = match u64::from(u16::from_le_bytes(at(&compact, 2))) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let first_block = u32::from_le_bytes(at(&compact, 16));
        let kind = kind(u16::from_le_bytes(at(&compact, 4)), first_block);
        let in_blocks = match (kind, format >> 1) {
            // What is no file and no directory has no data.
            (Kind::Whiteout | Kind::Other, _) => 0,
            (_, PLAIN) => len,
            (_, INLINE) => len >> self.block_bits << self.block_bits,
            _ => return Err(ErofsError::Layout(number).into()),
        };
        let len = if matches!(kind, Kind::Whiteout | Kind::Other) { 0 } else { len };
        let blocks = self.part(u64::from(first_block) << self.block_bits, in_blocks);
        let tail = self.part(place + size + attributes, len - in_blocks);
        match (blocks, tail) {
            (Some(blocks), Some(tail)) => Ok(Inode { number, kind, len, blocks, tail }),
            _ => Err(broken("its data lies beyond the end of the file system").into()),
        }
    }

    /// `len` bytes at `start`, if they are all there; nothing is everywhere.
    fn part(&self, start: u64, len: u64) -> Option<Section> {
        let end = start.checked_add(len)?;
        let part = self.all.part(start..end);
        (part.len() == len).then_some(part)
    }

    /// The inode of this name in a directory.
    fn entry(&self, directory: &Inode, name: &str) -> Result<Option<u64>, LayerError> {
        let broken = |what| ErofsError::Broken { inode: directory.number, what };
        if directory.len > MAX_DIRECTORY {
            return Err(LayerError::TooMany);
        }
        let mut bytes = Vec::new();
        directory.blocks.reader().read_to_end(&mut bytes)?;
        directory.tail.reader().read_to_end(&mut bytes)?;
        let mut seen = 0;
        for block in bytes.chunks(1 << self.block_bits) {
            // Entries begin with the number of an inode and the place of the name; the first name follows the last entry.
            let first = block.get(8..10).and_then(|offset| offset.try_into().ok()).map(u16::from_le_bytes);
            let names = first.map(usize::from).filter(|names| *names >= ENTRY && names.is_multiple_of(ENTRY));
            let entries = names.and_then(|names| block.get(..names));
            let entries = entries.ok_or_else(|| broken("its directory has no valid entries"))?;
            seen += entries.len() / ENTRY;
            if seen > MAX_ENTRIES {
                return Err(LayerError::TooMany);
            }
            let ends = entries.chunks(ENTRY).skip(1).map(name_at).chain([block.len()]);
            for (entry, end) in entries.chunks(ENTRY).zip(ends) {
                let found = block.get(name_at(entry)..end);
                let found = found.ok_or_else(|| broken("a name lies outside of its directory"))?;
                let len = found.iter().position(|byte| *byte == 0).unwrap_or(found.len());
                if found.get(..len) == Some(name.as_bytes()) {
                    return Ok(Some(u64::from_le_bytes(at(entry, 0))));
                }
            }
        }
        Ok(None)
    }

    /// The bytes of a file in one piece.
    fn copy(&self, inode: &Inode) -> Result<Section, LayerError> {
        if inode.tail.is_empty() {
            return Ok(inode.blocks.clone());
        }
        let mut file = tempfile::tempfile().map_err(LayerError::Temporary)?;
        for part in [&inode.blocks, &inode.tail] {
            pieces(part.reader(), LayerError::Tar, |piece| {
                file.write_all(piece).map_err(LayerError::Temporary)
            })?;
        }
        Ok(Section::of(file, inode.len))
    }
}

/// What an inode is by its mode and its device number.
fn kind(mode: u16, device: u32) -> Kind {
    match mode & TYPE {
        REGULAR => Kind::Regular,
        DIRECTORY => Kind::Directory,
        CHARACTER_DEVICE if device == 0 => Kind::Whiteout,
        _ => Kind::Other,
    }
}

/// Where an entry says that its name is.
fn name_at(entry: &[u8]) -> usize {
    u16::from_le_bytes(at(entry, 8)).into()
}

/// `N` bytes at a place; zeros where there are none, which is nowhere that this is called for.
fn at<const N: usize>(bytes: &[u8], place: usize) -> [u8; N] {
    bytes.get(place..place + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests;
