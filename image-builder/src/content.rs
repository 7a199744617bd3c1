//! What goes into an image: bytes at hand, or a file that is read when it is its turn, piece by piece.
//!
//! A file is read twice, for its checksums and for the layer. One that changes in between is an error, not a torn image.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use firmware::checksum::Sums;
use firmware::elf::{Elf, ElfError};
use firmware::file::FileError;

use crate::input;

/// Bytes that are in memory at once.
const PIECE: usize = 64 << 10;

/// A file of an image to be, with its length and its checksums.
#[derive(Debug)]
pub struct Content {
    source: Source,
    len: u64,
    crc32: String,
    sha256: String,
}

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    File(File, PathBuf),
}

/// Why a file does not get into its image.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The operating system refused to read it.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody wrote to it meanwhile.
    #[error("{0} changed while it was read")]
    Changed(PathBuf),
    /// The operating system refused to write what it goes into.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Content {
    /// Opens a regular file of at most `limit` bytes and takes its checksums; `seen` is told of each piece.
    pub fn open(path: &Path, limit: u64, seen: impl FnMut(usize)) -> Result<Content, FileError> {
        let file = input::open(path)?;
        let len = file.metadata()?.len();
        if len > limit {
            return Err(FileError::TooLong(limit));
        }
        Content::of(Source::File(file, path.to_owned()), len, seen).map_err(|error| match error {
            ContentError::Read { source, .. } | ContentError::Write(source) => FileError::Io(source),
            ContentError::Changed(_) => FileError::Io(io::Error::other("it changed while it was read")),
        })
    }

    fn of(source: Source, len: u64, mut seen: impl FnMut(usize)) -> Result<Content, ContentError> {
        let mut sums = Sums::default();
        source.pieces(len, |piece| {
            sums.update(piece);
            seen(piece.len());
            Ok(())
        })?;
        let (crc32, sha256) = sums.finish();
        Ok(Content { source, len, crc32, sha256 })
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// CRC-32 in the form of labels.
    pub fn crc32(&self) -> &str {
        &self.crc32
    }

    /// SHA-256, 64 lower-case hex digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it is as an ELF file. Little more than the headers is read.
    pub fn elf(&self) -> Result<Elf, ElfError> {
        match &self.source {
            Source::Bytes(bytes) => Elf::parse(bytes),
            Source::File(file, _) => Elf::read(file),
        }
    }

    /// A part of it that is short.
    pub fn part(&self, range: Range<usize>) -> Result<Vec<u8>, ContentError> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes.get(range).unwrap_or_default().to_vec()),
            Source::File(file, path) => {
                let mut part = vec![0; range.len()];
                let read = file.read_exact_at(&mut part, range.start as u64);
                read.map_err(|source| ContentError::Read { path: path.clone(), source })?;
                Ok(part)
            }
        }
    }

    /// Writes it to `to`, and proves that it is still what it was.
    pub fn copy(&self, to: &mut dyn Write) -> Result<(), ContentError> {
        let mut sums = Sums::default();
        self.source.pieces(self.len, |piece| {
            sums.update(piece);
            to.write_all(piece)
        })?;
        let same = sums.finish().1 == self.sha256;
        if same { Ok(()) } else { Err(self.source.changed()) }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        let mut sums = Sums::default();
        sums.update(&bytes);
        let (crc32, sha256) = sums.finish();
        Content { len: bytes.len() as u64, source: Source::Bytes(bytes), crc32, sha256 }
    }
}

impl Source {
    /// Calls `with` with one piece after the other; together they must have `len` bytes.
    fn pieces(&self, len: u64, mut with: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), ContentError> {
        let (mut reader, mut left, mut piece) = (self.reader()?, len, vec![0; PIECE]);
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) if left == 0 => return Ok(()),
                Ok(0) => return Err(self.changed()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ContentError::Read { path: self.path(), source }),
            };
            left = left.checked_sub(count as u64).ok_or_else(|| self.changed())?;
            with(piece.get(..count).unwrap_or_default())?;
        }
    }

    fn reader(&self) -> Result<Box<dyn Read + '_>, ContentError> {
        match self {
            Source::Bytes(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Source::File(file, path) => {
                let mut file = file;
                let failed = |source| ContentError::Read { path: path.clone(), source };
                file.rewind().map_err(failed)?;
                Ok(Box::new(file))
            }
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Source::Bytes(_) => PathBuf::new(),
            Source::File(_, path) => path.clone(),
        }
    }

    fn changed(&self) -> ContentError {
        ContentError::Changed(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_not_packed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        for later in ["longer than before", "short", "same-len"] {
            std::fs::write(&path, "some-len").expect("written");
            let mut seen = 0;
            let content = Content::open(&path, 8, |count| seen += count).expect("opened");
            assert_eq!((seen, content.len()), (8, 8));
            content.copy(&mut io::sink()).expect("unchanged");
            std::fs::write(&path, later).expect("written");
            let error = content.copy(&mut io::sink()).expect_err(later).to_string();
            assert_eq!(error, format!("{} changed while it was read", path.display()));
        }
        assert!(matches!(Content::open(&path, 7, drop), Err(FileError::TooLong(7))));
    }
}
