//! Reads an archive back: a tar file of unknown origin, from which single files are taken and checked by their digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path};

use firmware::checksum;
use tar::{Archive, EntryType};

use crate::documents::Descriptor;
use crate::hashing::Hashing;

/// Longest archive: room for the longest firmware four times, uncompressed.
pub const MAX_ARCHIVE_LEN: u64 = 1 << 30;
/// More files than an archive of a few images has; bounds the index.
const MAX_ENTRIES: usize = 4096;

/// The files of an archive. Having one proves that no two have the same path.
#[derive(Debug)]
pub struct Blobs {
    file: File,
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    len: u64,
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
    pub fn open(mut file: File) -> Result<Blobs, BlobError> {
        let len = file.metadata().map_err(BlobError::Tar)?.len();
        if len > MAX_ARCHIVE_LEN {
            return Err(BlobError::TooLong(len));
        }
        file.rewind().map_err(BlobError::Tar)?;
        let places = places(&file)?;
        Ok(Blobs { file, places })
    }

    /// True if the archive has a file of that path.
    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The bytes of the file at `path`, at most `limit`.
    pub fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, BlobError> {
        let place = *self.places.get(path).ok_or_else(|| BlobError::Missing(path.to_owned()))?;
        if place.len > limit {
            return Err(BlobError::Long { path: path.to_owned(), len: place.len, limit });
        }
        self.read_place(place).map_err(|source| BlobError::Io { path: path.to_owned(), source })
    }

    /// The bytes that a descriptor names, of the length and the digest that it gives.
    pub fn read_blob(&mut self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, BlobError> {
        let path = blob_path(&descriptor.digest)?;
        let bytes = self.read(&path, limit)?;
        let (len, expected) = (bytes.len() as u64, descriptor.size);
        if len != expected {
            return Err(BlobError::Size { path, len, expected });
        }
        let digest = format!("sha256:{}", checksum::sha256(&bytes));
        if digest == descriptor.digest { Ok(bytes) } else { Err(BlobError::Changed { path, digest }) }
    }

    /// Proves that the archive has what a descriptor names, without keeping it.
    pub fn check_blob(&mut self, descriptor: &Descriptor) -> Result<(), BlobError> {
        let path = blob_path(&descriptor.digest)?;
        let place = *self.places.get(&path).ok_or_else(|| BlobError::Missing(path.clone()))?;
        let (len, expected) = (place.len, descriptor.size);
        if len != expected {
            return Err(BlobError::Size { path, len, expected });
        }
        let mut hashing = Hashing::new(io::sink());
        let copied =
            self.reader(descriptor, |_| ()).and_then(|mut reader| io::copy(&mut reader, &mut hashing));
        copied.map_err(|source| BlobError::Io { path: path.clone(), source })?;
        let (digest, ..) = hashing.finish();
        if digest == descriptor.digest { Ok(()) } else { Err(BlobError::Changed { path, digest }) }
    }

    /// The bytes of a blob, one after the other; `seen` is told of them.
    pub fn reader(&self, descriptor: &Descriptor, seen: impl FnMut(usize)) -> io::Result<impl Read> {
        let path = blob_path(&descriptor.digest).map_err(io::Error::other)?;
        let place = *self.places.get(&path).ok_or(io::ErrorKind::NotFound)?;
        (&self.file).seek(SeekFrom::Start(place.offset))?;
        Ok(Seen { reader: (&self.file).take(place.len), seen })
    }

    fn read_place(&mut self, place: Place) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(place.len).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == place.len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A reader that tells how far it is.
struct Seen<R, F> {
    reader: R,
    seen: F,
}

impl<R: Read, F: FnMut(usize)> Read for Seen<R, F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(bytes)?;
        (self.seen)(count);
        Ok(count)
    }
}

/// Path of a blob in an image layout.
pub fn blob_path(digest: &str) -> Result<String, BlobError> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(is_hex));
    let hex = hex.ok_or_else(|| BlobError::Digest(digest.to_owned()))?;
    Ok(format!("blobs/sha256/{hex}"))
}

fn places(file: &File) -> Result<BTreeMap<String, Place>, BlobError> {
    let mut places = BTreeMap::new();
    let mut archive = Archive::new(file);
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
        let place = Place { offset: entry.raw_file_position(), len: entry.size() };
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
