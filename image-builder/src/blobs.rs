//! Reads an archive back: a tar file of unknown origin, from which single files are taken and checked by their digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use firmware::checksum;
use tar::{Archive, EntryType};

use crate::documents::Descriptor;
use crate::hashing::Hashing;
use crate::section::{Section, Seen};

/// Longest archive: room for the longest firmware four times, uncompressed.
pub const MAX_ARCHIVE_LEN: u64 = 1 << 30;
/// More files than an archive of a few images has; bounds the index.
const MAX_ENTRIES: usize = 4096;

/// The files of an archive. Having one proves that no two have the same path.
#[derive(Debug)]
pub struct Blobs {
    places: BTreeMap<String, Section>,
}

/// Why an archive, or a file in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those of a tar file.
    #[error("not a readable tar file: {0}")]
    Tar(io::Error),
    /// Too long to be read.
    #[error("archive is {0} bytes long, at most {MAX_ARCHIVE_LEN} are allowed")]
    TooLong(u64),
    /// Too many files.
    #[error("archive has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// Readers would not agree which of two files counts.
    #[error("archive has two files {0:?}")]
    Twice(String),
    /// Something refers to a file that is not there.
    #[error("archive has no file {0:?}")]
    Missing(String),
    /// A file is longer than its kind may be.
    #[error("{path:?} is {len} bytes long, at most {limit} are allowed")]
    Long {
        /// The file.
        path: String,
        /// Its length.
        len: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// The operating system refused, or the archive ends early.
    #[error("cannot read {path:?}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A digest that is of another kind.
    #[error("digest {0:?} must be sha256: and 64 lower-case hex digits")]
    Digest(String),
    /// A file has another length than its descriptor says.
    #[error("{path:?} is {len} bytes long, its descriptor says {expected}")]
    Size {
        /// The file.
        path: String,
        /// Its length.
        len: u64,
        /// The length in the descriptor.
        expected: u64,
    },
    /// A file has another digest than its name says.
    #[error("{path:?} has the sha-256 {digest}, it was changed or torn")]
    Changed {
        /// The file.
        path: String,
        /// The digest of its bytes.
        digest: String,
    },
}

impl Blobs {
    /// Finds the files of a tar file. Entries of other kinds are passed over.
    pub fn open(file: File) -> Result<Blobs, BlobError> {
        let len = file.metadata().map_err(BlobError::Tar)?.len();
        if len > MAX_ARCHIVE_LEN {
            return Err(BlobError::TooLong(len));
        }
        Ok(Blobs { places: places(file, len)? })
    }

    /// True if the archive has a file of that path.
    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The bytes of the file at `path`, at most `limit`.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, BlobError> {
        let section = self.section(path)?;
        if section.len() > limit {
            return Err(BlobError::Long { path: path.to_owned(), len: section.len(), limit });
        }
        let mut bytes = Vec::new();
        let read = section.reader().read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|source| BlobError::Io { path: path.to_owned(), source })
    }

    /// The bytes that a descriptor names, of the length and the digest that it gives.
    pub fn read_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, BlobError> {
        let path = blob_path(&descriptor.digest)?;
        let bytes = self.read(&path, limit)?;
        let (len, expected) = (bytes.len() as u64, descriptor.size);
        if len != expected {
            return Err(BlobError::Size { path, len, expected });
        }
        let digest = format!("sha256:{}", checksum::sha256(&bytes));
        if digest == descriptor.digest { Ok(bytes) } else { Err(BlobError::Changed { path, digest }) }
    }

    /// Proves that the archive has what a descriptor names, and says where. `seen` is told of each piece.
    pub fn check_blob(&self, descriptor: &Descriptor, seen: impl FnMut(usize)) -> Result<Section, BlobError> {
        let path = blob_path(&descriptor.digest)?;
        let section = self.section(&path)?;
        let (len, expected) = (section.len(), descriptor.size);
        if len != expected {
            return Err(BlobError::Size { path, len, expected });
        }
        let mut hashing = Hashing::new(io::sink());
        let mut reader = Seen::new(section.reader(), seen);
        io::copy(&mut reader, &mut hashing).map_err(|source| BlobError::Io { path: path.clone(), source })?;
        let (digest, ..) = hashing.finish();
        if digest == descriptor.digest {
            Ok(section.clone())
        } else {
            Err(BlobError::Changed { path, digest })
        }
    }

    /// The bytes of a blob, one after the other; `seen` is told of them.
    pub fn reader(&self, descriptor: &Descriptor, seen: impl FnMut(usize)) -> io::Result<impl Read> {
        let path = blob_path(&descriptor.digest).map_err(io::Error::other)?;
        Ok(Seen::new(self.section(&path).map_err(io::Error::other)?.reader(), seen))
    }

    fn section(&self, path: &str) -> Result<&Section, BlobError> {
        self.places.get(path).ok_or_else(|| BlobError::Missing(path.to_owned()))
    }
}

/// Path of a blob in an image layout.
pub fn blob_path(digest: &str) -> Result<String, BlobError> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(is_hex));
    let hex = hex.ok_or_else(|| BlobError::Digest(digest.to_owned()))?;
    Ok(format!("blobs/sha256/{hex}"))
}

fn places(file: File, len: u64) -> Result<BTreeMap<String, Section>, BlobError> {
    let mut places = BTreeMap::new();
    let all = Section::of(file, len);
    let mut archive = Archive::new(all.reader());
    for (count, entry) in archive.entries_with_seek().map_err(BlobError::Tar)?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(BlobError::TooMany);
        }
        let entry = entry.map_err(BlobError::Tar)?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        // What is not text is no path of an image layout.
        let Some(path) = entry.path().ok().and_then(|path| relative(&path)) else { continue };
        let start = entry.raw_file_position();
        let place = all.part(start..start.saturating_add(entry.size()));
        if place.len() != entry.size() {
            return Err(BlobError::Io { path, source: io::ErrorKind::UnexpectedEof.into() });
        }
        if places.insert(path.clone(), place).is_some() {
            return Err(BlobError::Twice(path));
        }
    }
    Ok(places)
}

/// The path without a leading `/` and without `.` in it; `None` if it is not text or has `..` in it.
pub(crate) fn relative(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}
