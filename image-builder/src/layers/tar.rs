//! A layer that is a tar file.

use std::collections::BTreeSet;
use std::io;

use tar::{Archive, Entry, EntryType};

use super::{Effect, LayerError, MAX_ENTRIES, is_below};
use crate::blobs::relative;
use crate::section::{Section, SectionReader};

/// What the layer does to a path, which is relative.
pub(super) fn effect(layer: &Section, wanted: &str, limit: u64) -> Result<Effect, LayerError> {
    let (mut effect, mut links) = (Effect::None, BTreeSet::<String>::new());
    let mut archive = Archive::new(layer.reader());
    for (count, entry) in archive.entries_with_seek()?.enumerate() {
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
            effect = Effect::File(place(layer, &entry, wanted, limit)?);
        } else if is_below(wanted, &path) && kind != EntryType::Directory {
            effect = Effect::Removed;
        } else if matches!(effect, Effect::None) && removes(&path, wanted) {
            // Not if the layer itself has put a file there: a whiteout speaks of the layers below.
            effect = Effect::Removed;
        }
    }
    Ok(effect)
}

fn entry_path(entry: &mut Entry<'_, SectionReader>) -> Result<String, LayerError> {
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

/// Where the bytes of a file are in the layer.
fn place(
    layer: &Section,
    entry: &Entry<'_, SectionReader>,
    path: &str,
    limit: u64,
) -> Result<Section, LayerError> {
    if entry.header().entry_type() != EntryType::Regular {
        return Err(LayerError::NotRegular(format!("/{path}")));
    }
    let (start, len) = (entry.raw_file_position(), entry.size());
    if len > limit {
        return Err(LayerError::Long { path: format!("/{path}"), len, limit });
    }
    let file = layer.part(start..start.saturating_add(len));
    if file.len() == len { Ok(file) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
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
