//! The one layer of an image: a tar file, plain or packed, or an EROFS file system.

mod beside;
mod erofs;
mod format;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc::Receiver;

use flate2::{Compression, GzBuilder};

use crate::content::{Content, ContentError};
use crate::hashing::Hashing;
use crate::progress::Progress;
use crate::ustar::Ustar;
use beside::beside;

pub use erofs::ErofsError;
pub use format::{Format, FormatError};

/// The level is a part of the format: another one gives other bytes.
const GZIP_LEVEL: u32 = 6;
/// As for gzip. It is zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// "Unknown" in the header of gzip, whatever machine builds.
const GZIP_NO_SYSTEM: u8 = 255;

/// Why there is no layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file cannot get into it.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The file system cannot be made.
    #[error("layer erofs: {0}")]
    Erofs(#[from] ErofsError),
}

impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> LayerError {
        LayerError::Content(error.into())
    }
}

/// Files by their relative paths, sorted, each directory (with a slash at its end) before what is in it.
type Tree<'a> = BTreeMap<&'a str, Option<&'a Content>>;

/// Writes the layer with files by their absolute paths; `mtime` is the time of all entries. Gives the DiffID.
pub fn write(
    format: Format,
    files: &[(&str, &Content)],
    mtime: u64,
    out: &mut (dyn Write + Send),
) -> Result<String, LayerError> {
    let tree = tree(files);
    let progress = Progress::new("packing", files.iter().map(|(_, content)| content.len()).sum());
    let seen = |count| progress.add(count);
    match format {
        Format::Tar => tar(&tree, mtime, out, seen),
        Format::TarGzip => packed(&tree, mtime, seen, |from| {
            let packer = GzBuilder::new().operating_system(GZIP_NO_SYSTEM);
            let mut packer = packer.write(out, Compression::new(GZIP_LEVEL));
            from.into_iter().try_for_each(|piece| packer.write_all(&piece))?;
            packer.finish().map(drop)
        }),
        Format::TarZstd => packed(&tree, mtime, seen, |from| {
            let mut packer = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            from.into_iter().try_for_each(|piece| packer.write_all(&piece))?;
            packer.finish().map(drop)
        }),
        Format::Erofs => erofs::write(&tree, mtime, out, seen),
    }
}

fn tree<'a>(files: &[(&'a str, &'a Content)]) -> Tree<'a> {
    let mut tree = Tree::new();
    for (path, content) in files {
        let path = path.trim_start_matches('/');
        let directories = path.match_indices('/').filter_map(|(slash, _)| path.get(..=slash));
        tree.extend(directories.map(|directory| (directory, None)));
        tree.insert(path, Some(*content));
    }
    tree
}

/// The tree as a tar file, packed by `packer`. Gives the DiffID.
fn packed(
    tree: &Tree<'_>,
    mtime: u64,
    seen: impl Fn(usize),
    packer: impl FnOnce(Receiver<Vec<u8>>) -> io::Result<()> + Send,
) -> Result<String, LayerError> {
    beside(packer, |out| tar(tree, mtime, out, seen))
}

/// The tree as a tar file. Gives its digest.
fn tar(tree: &Tree<'_>, mtime: u64, out: impl Write, seen: impl Fn(usize)) -> Result<String, LayerError> {
    let mut tar = Ustar::new(Hashing::new(out), mtime);
    for (path, content) in tree {
        match content {
            Some(content) => tar.file(path, content, &seen)?,
            None => tar.directory(path)?,
        }
    }
    Ok(tar.finish()?.finish().0)
}
