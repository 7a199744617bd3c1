//! What an archive lists: its images, and what speaks of them.

use super::{ImageError, MAX_IMAGES, document, is_index, is_manifest, name};
use crate::blobs::Blobs;
use crate::documents::{self, Descriptor, Index, Manifest};

/// What an archive lists.
#[derive(Debug)]
pub(crate) struct Roots {
    /// The manifest or index of the image.
    pub(crate) image: Descriptor,
    /// Manifests whose subject it is.
    pub(crate) referrers: Vec<Descriptor>,
}

/// Finds the one image of an archive, or of several the one of that name, and what speaks of it.
pub(crate) fn roots(blobs: &Blobs, wanted: &str) -> Result<Roots, ImageError> {
    let index: Index = document("index.json", "index", &blobs.read("index.json", documents::MAX_LEN)?)?;
    if index.manifests.len() > MAX_IMAGES {
        return Err(ImageError::TooMany);
    }
    let (mut images, mut speaking) = (Vec::new(), Vec::new());
    for descriptor in index.manifests {
        match subject(blobs, &descriptor)? {
            Some((subject, _)) => speaking.push((subject, descriptor)),
            None if is_index(&descriptor) || is_manifest(&descriptor) => images.push(descriptor),
            None => {}
        }
    }
    let names: Vec<String> = images.iter().map(|image| name(image).unwrap_or_default().to_owned()).collect();
    if images
        .iter()
        .any(|image| Some(image.digest.as_str()) != images.first().map(|first| first.digest.as_str()))
    {
        images.retain(|image| name(image) == Some(wanted));
    }
    let has = || format!(" of the name {wanted:?}, it has {names:?}");
    let image = images.into_iter().next().ok_or_else(|| ImageError::None(has()))?;
    let of_it = speaking.into_iter().filter(|(subject, _)| *subject == image.digest);
    Ok(Roots { referrers: of_it.map(|(_, descriptor)| descriptor).collect(), image })
}

/// Digest of what a manifest speaks of, if it speaks of another one, and what it is.
pub(super) fn subject(
    blobs: &Blobs,
    descriptor: &Descriptor,
) -> Result<Option<(String, String)>, ImageError> {
    if !is_manifest(descriptor) {
        return Ok(None);
    }
    let bytes = blobs.read_blob(descriptor, documents::MAX_LEN)?;
    let manifest: Manifest = document(&descriptor.digest, "manifest", &bytes)?;
    let kind = manifest.artifact_type.unwrap_or(manifest.config.media_type);
    Ok(manifest.subject.map(|subject| (subject.digest, kind)))
}
