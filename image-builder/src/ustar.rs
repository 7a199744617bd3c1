//! Tar entries that depend on nothing but their contents: `ustar`, owner 0:0 without names, one time for all.

use std::io;

use tar::{Builder, EntryType, Header};

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// A tar file in memory. The caller adds the entries in the order they shall have.
pub(crate) struct Ustar {
    builder: Builder<Vec<u8>>,
    mtime: u64,
}

impl Ustar {
    /// An empty tar file; `mtime` is the time of all entries in seconds since 1970.
    pub(crate) fn new(mtime: u64) -> Ustar {
        Ustar { builder: Builder::new(Vec::new()), mtime }
    }

    /// Adds a directory; the path is relative and ends in a slash.
    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, EntryType::Directory, DIRECTORY_MODE, &[])
    }

    /// Adds a file; the path is relative.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.entry(path, EntryType::Regular, FILE_MODE, bytes)
    }

    /// Ends the tar file with two zero blocks.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        self.builder.into_inner()
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.mtime);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.builder.append(&header, bytes)
    }
}
