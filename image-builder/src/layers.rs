//! The layers of an image that somebody else made, and the files in them as a container would see them.

use std::collections::BTreeSet;
use std::io::{self, Read};

use firmware::checksum;
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::blobs::relative;

/// Most bytes of all layers together, unpacked: the longest firmware and the most further files.
pub const MAX_LEN: u64 = 384 << 20;
/// More entries than any layer with firmware has.
const MAX_ENTRIES: usize = 65_536;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Memory that a zstd stream may ask for, as a power of two: what zstd's own tool allows.
const MAX_WINDOW_LOG: u32 = 27;
/// Magic number of EROFS and where it is.
const EROFS: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();
const EROFS_AT: usize = 1024;

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It is no tar file.
    #[error("it is an erofs file system, only tar files can be read")]
    Erofs,
    /// It does not unpack.
    #[error("it is not valid {0} data: {1}")]
    Packed(&'static str, io::Error),
    /// It unpacks to too much.
    #[error("the image unpacks to more than {MAX_LEN} bytes")]
    TooLong,
    /// The configuration says something else of it.
    #[error("unpacked it has the digest {actual}, the configuration says {expected:?}")]
    DiffId {
        /// The digest.
        actual: String,
        /// What `diff_ids` has.
        expected: String,
    },
    /// The bytes are not those of a tar file.
    #[error("it is not a readable tar file: {0}")]
    Tar(#[from] io::Error),
    /// Too many files.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// A path that would leave the root, or is not text.
    #[error("entry {0:?} must have a path in UTF-8 without ..")]
    Path(String),
    /// Where such an entry goes depends on what unpacks it.
    #[error("entry {0:?} lies below a symbolic link")]
    Linked(String),
    /// Readers do not agree on what it holds.
    #[error("entry {0:?} is a sparse file")]
    Sparse(String),
    /// Something else has the path of a file that is needed.
    #[error("{0} is not a regular file")]
    NotRegular(String),
    /// A file is longer than its kind may be.
    #[error("{path} is {len} bytes long, at most {limit} are allowed")]
    Long {
        /// The file.
        path: String,
        /// Its length.
        len: u64,
        /// The most that is allowed.
        limit: u64,
    },
}

/// Unpacks a layer of at most `limit` bytes and proves that it is the one of the configuration.
pub fn unpack(blob: Vec<u8>, diff_id: &str, limit: u64) -> Result<Vec<u8>, LayerError> {
    let tar = if blob.starts_with(&GZIP) {
        unpacked("gzip", MultiGzDecoder::new(blob.as_slice()), limit)?
    } else if blob.starts_with(&ZSTD) {
        let packed = |error| LayerError::Packed("zstd", error);
        unpacked("zstd", zstd_reader(&blob).map_err(packed)?, limit)?
    } else {
        blob
    };
    if tar.get(EROFS_AT..).is_some_and(|rest| rest.starts_with(&EROFS)) {
        return Err(LayerError::Erofs);
    }
    if tar.len() as u64 > limit {
        return Err(LayerError::TooLong);
    }
    let actual = format!("sha256:{}", checksum::sha256(&tar));
    if actual == diff_id { Ok(tar) } else { Err(LayerError::DiffId { actual, expected: diff_id.to_owned() }) }
}

fn unpacked(kind: &'static str, reader: impl Read, limit: u64) -> Result<Vec<u8>, LayerError> {
    let mut tar = Vec::new();
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut tar);
    read.map(|_| tar).map_err(|error| LayerError::Packed(kind, error))
}

fn zstd_reader(blob: &[u8]) -> io::Result<impl Read> {
    let mut reader = zstd::Decoder::with_buffer(blob)?;
    reader.window_log_max(MAX_WINDOW_LOG)?;
    Ok(reader)
}

/// What a layer does to one path.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing: the layers below decide.
    None,
    /// The file is gone.
    Removed,
    /// The file has these bytes.
    File(Vec<u8>),
}

/// The file at `path` (absolute) in a container of these layers, lowest first.
pub fn find(layers: &[Vec<u8>], path: &str, limit: u64) -> Result<Option<Vec<u8>>, LayerError> {
    let wanted = path.trim_start_matches('/');
    for layer in layers.iter().rev() {
        match effect(layer, wanted, limit)? {
            Effect::None => {}
            Effect::Removed => return Ok(None),
            Effect::File(bytes) => return Ok(Some(bytes)),
        }
    }
    Ok(None)
}

fn effect(layer: &[u8], wanted: &str, limit: u64) -> Result<Effect, LayerError> {
    let (mut effect, mut links) = (Effect::None, BTreeSet::<String>::new());
    for (count, entry) in Archive::new(layer).entries()?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(LayerError::TooMany);
        }
        let mut entry = entry?;
        let path = entry_path(&mut entry)?;
        if above(&path).any(|directory| links.contains(directory)) {
            return Err(LayerError::Linked(path));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::Symlink {
            links.insert(path.clone());
        }
        if path == wanted {
            effect = Effect::File(read(&mut entry, wanted, limit)?);
        } else if is_below(wanted, &path) && kind != EntryType::Directory {
            effect = Effect::Removed;
        } else if effect == Effect::None && removes(&path, wanted) {
            // Not if the layer itself has put a file there: a whiteout speaks of the layers below.
            effect = Effect::Removed;
        }
    }
    Ok(effect)
}

fn entry_path(entry: &mut tar::Entry<'_, &[u8]>) -> Result<String, LayerError> {
    let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let path = entry.path().ok().and_then(|path| relative(&path));
    let path = path.ok_or_else(|| LayerError::Path(shown.clone()))?;
    let sparse = |key: &[u8]| key.starts_with(b"GNU.sparse.");
    let extensions = entry.pax_extensions()?.into_iter().flatten();
    let extended = extensions.filter_map(Result::ok).any(|extension| sparse(extension.key_bytes()));
    if extended || entry.header().entry_type() == EntryType::GNUSparse {
        return Err(LayerError::Sparse(shown));
    }
    Ok(path)
}

fn read(entry: &mut tar::Entry<'_, &[u8]>, path: &str, limit: u64) -> Result<Vec<u8>, LayerError> {
    if entry.header().entry_type() != EntryType::Regular {
        return Err(LayerError::NotRegular(format!("/{path}")));
    }
    let len = entry.size();
    if len > limit {
        return Err(LayerError::Long { path: format!("/{path}"), len, limit });
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// True if the entry is a whiteout (`.wh.NAME`, or `.wh..wh..opq` for all in its directory) of the path or of a
/// directory above it.
fn removes(entry: &str, wanted: &str) -> bool {
    let (directory, name) = entry.rsplit_once('/').unwrap_or(("", entry));
    let Some(name) = name.strip_prefix(".wh.") else { return false };
    let hidden = match (name, directory) {
        (".wh..opq", "") => return true,
        (".wh..opq", directory) => directory.to_owned(),
        (name, "") => name.to_owned(),
        (name, directory) => format!("{directory}/{name}"),
    };
    wanted == hidden || is_below(wanted, &hidden)
}

/// The directories of a path.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(slash, _)| path.get(..slash))
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tar::{Builder, Header};

    use super::*;

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, kind, bytes) in entries {
            let mut header = Header::new_ustar();
            // Not `set_path`, which refuses what a hostile file may have.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, *bytes).expect("appended");
        }
        builder.into_inner().expect("finished")
    }

    fn file<'a>(path: &'a str, bytes: &'a [u8]) -> (&'a str, EntryType, &'a [u8]) {
        (path, EntryType::Regular, bytes)
    }

    fn found(layers: &[Vec<u8>]) -> Option<Vec<u8>> {
        find(layers, "/d/f", 100).expect("readable")
    }

    #[test]
    fn the_last_word_counts() {
        let low = tar(&[file("./d/f", b"old"), file("d/f", b"low")]);
        assert_eq!(found(std::slice::from_ref(&low)).as_deref(), Some(&b"low"[..]));
        let high = tar(&[file("/d/f", b"high")]);
        assert_eq!(found(&[low.clone(), high]).as_deref(), Some(&b"high"[..]));
        for hidden in ["d/.wh.f", ".wh.d", "d/.wh..wh..opq", ".wh..wh..opq"] {
            assert_eq!(found(&[low.clone(), tar(&[file(hidden, b"")])]), None, "{hidden}");
            let anew = tar(&[file("d/f", b"new"), file(hidden, b"")]);
            assert_eq!(found(&[low.clone(), anew]).as_deref(), Some(&b"new"[..]), "{hidden}");
        }
        for other in ["d/.wh.g", ".wh.e", "e/.wh..wh..opq", "d/f2"] {
            assert!(found(&[low.clone(), tar(&[file(other, b"")])]).is_some(), "{other}");
        }
        assert_eq!(found(&[low, tar(&[file("d", b"")])]), None);
    }

    #[test]
    fn what_readers_may_disagree_on_is_refused() {
        let refused = |entries: &[(&str, EntryType, &[u8])]| {
            find(&[tar(entries)], "/d/f", 3).expect_err("refused").to_string()
        };
        assert_eq!(refused(&[file("../d/f", b"")]), "entry \"../d/f\" must have a path in UTF-8 without ..");
        let link = ("l", EntryType::Symlink, &b""[..]);
        assert_eq!(refused(&[link, file("l/f", b"")]), "entry \"l/f\" lies below a symbolic link");
        assert_eq!(refused(&[("d/f", EntryType::Symlink, b"")]), "/d/f is not a regular file");
        assert_eq!(refused(&[file("d/f", b"long")]), "/d/f is 4 bytes long, at most 3 are allowed");
    }

    #[test]
    fn layers_are_unpacked_and_checked() {
        let layer = tar(&[file("d/f", b"x")]);
        let id = format!("sha256:{}", checksum::sha256(&layer));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&layer).expect("written");
        let gzip = gzip.finish().expect("finished");
        assert_eq!(unpack(layer.clone(), &id, 10_000).expect("plain"), layer);
        assert_eq!(unpack(gzip.clone(), &id, 10_000).expect("gzip"), layer);
        assert!(matches!(unpack(gzip.clone(), &id, 1000), Err(LayerError::TooLong)));
        assert!(matches!(unpack(layer.clone(), &id, 1000), Err(LayerError::TooLong)));
        assert!(matches!(
            unpack(gzip[..gzip.len() - 9].to_vec(), &id, 10_000),
            Err(LayerError::Packed("gzip", _))
        ));
        assert!(matches!(unpack(ZSTD.to_vec(), &id, 10), Err(LayerError::Packed("zstd", _))));
        let packed = zstd::encode_all(layer.as_slice(), 3).expect("packed");
        assert_eq!(unpack(packed, &id, 10_000).expect("zstd"), layer);
        let erofs = [&[0; EROFS_AT][..], &EROFS].concat();
        assert!(matches!(unpack(erofs, &id, 10_000), Err(LayerError::Erofs)));
        let error = unpack(layer, "sha256:0", 10_000).expect_err("another layer").to_string();
        assert_eq!(error, format!("unpacked it has the digest {id}, the configuration says \"sha256:0\""));
    }
}
