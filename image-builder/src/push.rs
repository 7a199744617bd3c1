//! From an archive to a registry: blobs first, then the manifests that refer to them, the name last.

use std::collections::BTreeSet;

use crate::blobs::{BlobError, Blobs};
use crate::documents::{self, Descriptor, Index, Manifest};
use crate::image::{self, ImageError, MAX_DEPTH};
use crate::oci;
use crate::progress::Progress;
use crate::registry::{Registry, RegistryError};
use crate::remote::Remote;

/// What was done.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Digest of the manifest or index.
    pub digest: String,
    /// Blobs that the registry did not have.
    pub blobs: usize,
    /// Manifests that speak of the image.
    pub referrers: usize,
}

/// Why an image is not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The archive.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<BlobError> for PushError {
    fn from(error: BlobError) -> PushError {
        PushError::Image(error.into())
    }
}

struct Pusher<'a> {
    registry: &'a Registry,
    blobs: &'a Blobs,
    sent: BTreeSet<String>,
}

/// Brings the image of an archive, and what speaks of it, to where `remote` says. The archive is checked first, whole.
pub fn push(registry: &Registry, remote: &Remote, blobs: &Blobs) -> Result<Pushed, PushError> {
    let image::Roots { image, referrers } = image::roots(blobs, remote.as_str())?;
    for root in [&image].into_iter().chain(&referrers) {
        check(blobs, root, 1)?;
    }
    let mut pusher = Pusher { registry, blobs, sent: BTreeSet::new() };
    pusher.tree(&image, remote.selector(), 1)?;
    for referrer in &referrers {
        let is_listed = pusher.tree(referrer, &referrer.digest, 1)?;
        if !is_listed {
            registry.tag_referrer(&image.digest, &oci::Descriptor::from(referrer.clone()))?;
        }
    }
    Ok(Pushed { digest: image.digest, blobs: pusher.sent.len(), referrers: referrers.len() })
}

/// A manifest's blobs, or an index's manifests.
enum Below {
    Blobs(Vec<Descriptor>),
    Manifests(Vec<Descriptor>),
}

fn below(descriptor: &Descriptor, bytes: &[u8]) -> Result<Below, ImageError> {
    if image::is_index(descriptor) {
        return Ok(Below::Manifests(image::document::<Index>(&descriptor.digest, "index", bytes)?.manifests));
    }
    let manifest: Manifest = image::document(&descriptor.digest, "manifest", bytes)?;
    Ok(Below::Blobs([manifest.config].into_iter().chain(manifest.layers).collect()))
}

/// Proves that everything is there, unchanged.
fn check(blobs: &Blobs, root: &Descriptor, depth: usize) -> Result<(), PushError> {
    let bytes = blobs.read_blob(root, documents::MAX_LEN)?;
    match below(root, &bytes)? {
        Below::Manifests(_) if depth == MAX_DEPTH => Err(ImageError::TooMany.into()),
        Below::Manifests(all) => all.iter().try_for_each(|inner| check(blobs, inner, depth + 1)),
        Below::Blobs(all) => {
            for blob in &all {
                let checking = Progress::new("checking", blob.size);
                blobs.check_blob(blob, |count| checking.add(count))?;
            }
            Ok(())
        }
    }
}

impl Pusher<'_> {
    /// True if the registry takes note of the manifest's subject.
    fn tree(&mut self, root: &Descriptor, selector: &str, depth: usize) -> Result<bool, PushError> {
        let bytes = self.blobs.read_blob(root, documents::MAX_LEN)?;
        match below(root, &bytes)? {
            Below::Manifests(_) if depth == MAX_DEPTH => return Err(ImageError::TooMany.into()),
            Below::Manifests(all) => {
                for inner in &all {
                    self.tree(inner, &inner.digest, depth + 1)?;
                }
            }
            Below::Blobs(all) => all.iter().try_for_each(|blob| self.blob(blob))?,
        }
        Ok(self.registry.write_manifest(selector, &root.media_type, &bytes)?)
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<(), PushError> {
        if self.sent.contains(&descriptor.digest) || self.registry.has_blob(&descriptor.digest)? {
            return Ok(());
        }
        let progress = Progress::new("pushing", descriptor.size);
        let blobs = self.blobs;
        self.registry.write_blob(&descriptor.digest, descriptor.size, || {
            progress.restart();
            let seen = |count| progress.add(count);
            blobs.reader(descriptor, seen)
        })?;
        self.sent.insert(descriptor.digest.clone());
        Ok(())
    }
}
