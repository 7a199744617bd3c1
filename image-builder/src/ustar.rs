//! Tar entries that depend on nothing but their contents: `ustar`, owner 0:0 without names, one time for all.

use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::content::{Content, ContentError};

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
/// Headers and contents begin at multiples of this.
pub(crate) const BLOCK: u64 = 512;

/// A tar file that is being written. The caller adds the entries in the order they shall have.
pub(crate) struct Ustar<W> {
    out: W,
    mtime: u64,
}

impl<W: Write> Ustar<W> {
    /// An empty tar file; `mtime` is the time of all entries in seconds since 1970.
    pub(crate) fn new(out: W, mtime: u64) -> Ustar<W> {
        Ustar { out, mtime }
    }

    /// Adds a directory; the path is relative and ends in a slash.
    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.out.write_all(&directory(path, self.mtime)?)
    }

    /// Adds a file; the path is relative. `seen` is told of each piece.
    pub(crate) fn file(
        &mut self,
        path: &str,
        content: &Content,
        seen: impl FnMut(usize),
    ) -> Result<(), ContentError> {
        self.out.write_all(&file(path, content.len(), self.mtime)?)?;
        content.copy(&mut self.out, seen)?;
        Ok(pad(&mut self.out, content.len())?)
    }

    /// Ends the tar file, and gives what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        end(&mut self.out)?;
        Ok(self.out)
    }
}

/// The header of a directory.
pub(crate) fn directory(path: &str, mtime: u64) -> io::Result<[u8; BLOCK as usize]> {
    header(path, EntryType::Directory, DIRECTORY_MODE, 0, mtime)
}

/// The header of a file of `len` bytes.
pub(crate) fn file(path: &str, len: u64, mtime: u64) -> io::Result<[u8; BLOCK as usize]> {
    header(path, EntryType::Regular, FILE_MODE, len, mtime)
}

/// Fills the last block of a file of `len` bytes with zeros.
pub(crate) fn pad(out: &mut impl Write, len: u64) -> io::Result<()> {
    let zeros = [0; BLOCK as usize];
    let missing = (len.next_multiple_of(BLOCK) - len) as usize;
    out.write_all(zeros.get(..missing).unwrap_or_default())
}

/// Two zero blocks.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK as usize])
}

fn header(path: &str, kind: EntryType, mode: u32, len: u64, mtime: u64) -> io::Result<[u8; BLOCK as usize]> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(len);
    header.set_cksum();
    Ok(*header.as_bytes())
}
