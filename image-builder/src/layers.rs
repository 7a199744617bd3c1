//! The layers of an image that somebody else made, and the files in them as a container would see them.
//!
//! What is packed is unpacked into temporary files without names, so that an image takes no more memory than a small one.

mod erofs;
mod tar;

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;

use crate::hashing::Hashing;
use crate::progress::Progress;
use crate::section::{Section, Seen, pieces};

pub use erofs::ErofsError;

/// Most bytes of all layers together, unpacked: the longest firmware and the most further files.
pub const MAX_LEN: u64 = 384 << 20;
/// More entries than any layer with firmware has.
const MAX_ENTRIES: usize = 65_536;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Memory that a zstd stream may ask for, as a power of two: what zstd's own tool allows.
const MAX_WINDOW_LOG: u32 = 27;
/// Bytes that a decompressor gets at once.
const BUFFER: usize = 64 << 10;

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A broken file system, or one with something that the reader does not know.
    #[error("erofs: {0}")]
    Erofs(#[from] ErofsError),
    /// There is no room to unpack it.
    #[error("cannot unpack it into a temporary file: {0}")]
    Temporary(io::Error),
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

/// An unpacked layer.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A tar file.
    Tar(Section),
    /// A file system.
    Erofs(Section),
}

impl Layer {
    /// Bytes in it.
    pub fn len(&self) -> u64 {
        let (Layer::Tar(section) | Layer::Erofs(section)) = self;
        section.len()
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Unpacks a layer to at most `limit` bytes and proves that it is the one of the configuration. `digest` is that of the
/// blob, proven.
pub fn unpack(blob: &Section, digest: &str, diff_id: &str, limit: u64) -> Result<Layer, LayerError> {
    let start = start(blob)?;
    let progress = Progress::new("unpacking", blob.len());
    let seen = Seen::new(blob.reader(), |count| progress.add(count));
    let reader = BufReader::with_capacity(BUFFER, seen);
    let (layer, actual) = if start.starts_with(&GZIP) {
        unpacked("gzip", MultiGzDecoder::new(reader), limit)?
    } else if start.starts_with(&ZSTD) {
        let packed = |error| LayerError::Packed("zstd", error);
        unpacked("zstd", zstd_reader(reader).map_err(packed)?, limit)?
    } else {
        (blob.clone(), digest.to_owned())
    };
    if layer.len() > limit {
        return Err(LayerError::TooLong);
    }
    if actual != diff_id {
        return Err(LayerError::DiffId { actual, expected: diff_id.to_owned() });
    }
    Ok(if is_erofs(&layer)? { Layer::Erofs(layer) } else { Layer::Tar(layer) })
}

/// As many bytes as tell one form from another, fewer of a shorter blob.
fn start(blob: &Section) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    blob.reader().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn is_erofs(layer: &Section) -> io::Result<bool> {
    let mut magic = Vec::new();
    layer.part(erofs::AT..erofs::AT + erofs::MAGIC.len() as u64).reader().read_to_end(&mut magic)?;
    Ok(magic == erofs::MAGIC)
}

/// A file without a name that has what comes out of `reader`, one byte more than `limit` at most; and its digest.
fn unpacked(kind: &'static str, reader: impl Read, limit: u64) -> Result<(Section, String), LayerError> {
    let mut file = tempfile::tempfile().map_err(LayerError::Temporary)?;
    let mut hashing = Hashing::new(&mut file);
    let packed = |error| LayerError::Packed(kind, error);
    pieces(reader.take(limit.saturating_add(1)), packed, |piece| {
        hashing.write_all(piece).map_err(LayerError::Temporary)
    })?;
    let (digest, len, _) = hashing.finish();
    Ok((Section::of(file, len), digest))
}

fn zstd_reader(blob: impl BufRead) -> io::Result<impl Read> {
    let mut reader = zstd::Decoder::with_buffer(blob)?;
    reader.window_log_max(MAX_WINDOW_LOG)?;
    Ok(reader)
}

/// What a layer does to one path.
#[derive(Debug)]
enum Effect {
    /// Nothing: the layers below decide.
    None,
    /// The file is gone.
    Removed,
    /// The file has these bytes.
    File(Section),
}

/// The file at `path` (absolute) in a container of these layers, lowest first; at most `limit` bytes.
pub fn find(layers: &[Layer], path: &str, limit: u64) -> Result<Option<Section>, LayerError> {
    let wanted = path.trim_start_matches('/');
    for layer in layers.iter().rev() {
        let effect = match layer {
            Layer::Tar(tar) => tar::effect(tar, wanted, limit)?,
            Layer::Erofs(erofs) => erofs::effect(erofs, wanted, limit)?,
        };
        match effect {
            Effect::None => {}
            Effect::Removed => return Ok(None),
            Effect::File(file) => return Ok(Some(file)),
        }
    }
    Ok(None)
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use firmware::checksum;
    // Not the module of this name beside this one.
    use ::tar::{Builder, EntryType, Header};

    use super::*;

    fn bytes(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
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

    fn section(bytes: &[u8]) -> Section {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        Section::of(file, bytes.len() as u64)
    }

    fn text(section: &Section) -> Vec<u8> {
        let mut bytes = Vec::new();
        section.reader().read_to_end(&mut bytes).expect("readable");
        bytes
    }

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Layer {
        Layer::Tar(section(&bytes(entries)))
    }

    fn file<'a>(path: &'a str, bytes: &'a [u8]) -> (&'a str, EntryType, &'a [u8]) {
        (path, EntryType::Regular, bytes)
    }

    fn found(layers: &[Layer]) -> Option<Vec<u8>> {
        find(layers, "/d/f", 100).expect("readable").as_ref().map(text)
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
        let layer = bytes(&[file("d/f", b"x")]);
        let id = format!("sha256:{}", checksum::sha256(&layer));
        let unpacked = |blob: &[u8], id: &str, limit: u64| {
            let digest = format!("sha256:{}", checksum::sha256(blob));
            unpack(&section(blob), &digest, id, limit).map(|layer| match layer {
                Layer::Tar(layer) => text(&layer),
                Layer::Erofs(_) => panic!("no tar file"),
            })
        };
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&layer).expect("written");
        let gzip = gzip.finish().expect("finished");
        assert_eq!(unpacked(&layer, &id, 10_000).expect("plain"), layer);
        assert_eq!(unpacked(&gzip, &id, 10_000).expect("gzip"), layer);
        assert!(matches!(unpacked(&gzip, &id, 1000), Err(LayerError::TooLong)));
        assert!(matches!(unpacked(&layer, &id, 1000), Err(LayerError::TooLong)));
        assert!(matches!(unpacked(&gzip[..gzip.len() - 9], &id, 10_000), Err(LayerError::Packed("gzip", _))));
        assert!(matches!(unpacked(&ZSTD, &id, 10), Err(LayerError::Packed("zstd", _))));
        let packed = zstd::encode_all(layer.as_slice(), 3).expect("packed");
        assert_eq!(unpacked(&packed, &id, 10_000).expect("zstd"), layer);
        assert!(matches!(unpacked(b"", &id, 10), Err(LayerError::DiffId { .. })));
        let error = unpacked(&layer, "sha256:0", 10_000).expect_err("another layer").to_string();
        assert_eq!(error, format!("unpacked it has the digest {id}, the configuration says \"sha256:0\""));
    }

    #[test]
    fn a_file_system_is_told_from_a_tar_file() {
        let erofs = [&[0; erofs::AT as usize][..], &erofs::MAGIC].concat();
        let id = format!("sha256:{}", checksum::sha256(&erofs));
        assert!(matches!(unpack(&section(&erofs), &id, &id, 10_000), Ok(Layer::Erofs(_))));
    }
}
