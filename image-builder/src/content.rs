//! What goes into an image: bytes at hand, or a file that is read when it is its turn, piece by piece.
//!
//! A file is read more than once: for its checksums, and for whatever is done with it. One that changes before it is in a
//! layer is an error, not a torn image.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use firmware::checksum::{Sha256, Sums};
use firmware::elf::{Elf, ElfError};
use firmware::file::FileError;

use crate::input;
use crate::section::{Section, pieces};

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
    /// With a name for messages.
    File(Section, PathBuf),
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
        Content::read(Section::of(file, len), path, seen).map_err(|error| match error {
            ContentError::Read { source, .. } | ContentError::Write(source) => FileError::Io(source),
            ContentError::Changed(_) => FileError::Io(io::Error::other("it changed while it was read")),
        })
    }

    /// The same for a part of a file that is open; `path` is what messages call it.
    pub fn read(section: Section, path: &Path, mut seen: impl FnMut(usize)) -> Result<Content, ContentError> {
        let (len, source) = (section.len(), Source::File(section, path.to_owned()));
        let mut sums = Sums::default();
        source.pieces(|piece| {
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
            Source::File(section, _) => Elf::read(section.reader()),
        }
    }

    /// Reads a part of it, which ends where the whole ends.
    pub fn part(&self, range: &Range<usize>) -> Box<dyn Read + '_> {
        match &self.source {
            Source::Bytes(bytes) => Box::new(bytes.get(range.clone()).unwrap_or_default()),
            Source::File(section, _) => Box::new(section.part(range.start as u64..range.end as u64).reader()),
        }
    }

    /// A part of it that is short.
    pub fn short_part(&self, range: &Range<usize>) -> Result<Vec<u8>, ContentError> {
        let mut bytes = Vec::new();
        let read = self.part(range).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|source| ContentError::Read { path: self.source.path(), source })
    }

    /// Writes it to `to`, and proves that it is still what it was; `seen` is told of each piece.
    pub fn copy(&self, to: &mut dyn Write, mut seen: impl FnMut(usize)) -> Result<(), ContentError> {
        let mut sum = Sha256::default();
        self.source.pieces(|piece| {
            sum.update(piece);
            seen(piece.len());
            to.write_all(piece)
        })?;
        if sum.finish() == self.sha256 { Ok(()) } else { Err(self.source.changed()) }
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
    /// Calls `with` with one piece after the other.
    fn pieces(&self, mut with: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), ContentError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => ContentError::Read { path: self.path(), source },
        };
        match self {
            Source::Bytes(bytes) => Ok(with(bytes)?),
            Source::File(section, _) => pieces(section.reader(), failed, |piece| Ok(with(piece)?)),
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
            content.copy(&mut io::sink(), drop).expect("unchanged");
            std::fs::write(&path, later).expect("written");
            let error = content.copy(&mut io::sink(), drop).expect_err(later).to_string();
            assert_eq!(error, format!("{} changed while it was read", path.display()));
        }
        assert!(matches!(Content::open(&path, 7, drop), Err(FileError::TooLong(7))));
    }
}
