//! The one layer of an image: a plain tar file, so that its digest is its DiffID too.

use std::collections::BTreeMap;
use std::io;

use crate::ustar::Ustar;

/// The layer with files by their absolute paths, sorted, each directory before what is in it; `mtime` is the
/// time of all entries.
pub fn build(files: &[(&str, &[u8])], mtime: u64) -> io::Result<Vec<u8>> {
    let mut entries = BTreeMap::new();
    for (path, bytes) in files {
        let path = path.trim_start_matches('/');
        let directories = path.match_indices('/').filter_map(|(slash, _)| path.get(..=slash));
        entries.extend(directories.map(|directory| (directory, None)));
        entries.insert(path, Some(*bytes));
    }
    let mut tar = Ustar::new(mtime);
    for (path, bytes) in entries {
        match bytes {
            Some(bytes) => tar.file(path, bytes)?,
            None => tar.directory(path)?,
        }
    }
    tar.finish()
}
