//! From a registry to an archive: the image with all that it is made of, and what speaks of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use crate::archive::Writer;
use crate::blobs::{BlobError, MAX_ARCHIVE_LEN, blob_path};
use crate::documents::{self, Descriptor, Index, Manifest};
use crate::image::{self, MAX_IMAGES};
use crate::oci::{self, Labels};
use crate::platform::Platform;
use crate::progress::Progress;
use crate::registry::{Fetched, Registry, RegistryError};
use crate::remote::Remote;

/// Tries of one blob.
const TRIES: u32 = 3;
/// More layers than any image has.
const MAX_LAYERS: usize = 128;

/// What came.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Digest of the manifest or index.
    pub digest: String,
    /// How many manifests speak of it.
    pub referrers: usize,
}

/// Why nothing comes.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It has no such image.
    #[error("{0}: the registry has no such image")]
    Missing(String),
    /// It has none for the platform.
    #[error("{name}: there is no image for {platform}, only for {has}")]
    Platform {
        /// The image.
        name: String,
        /// What was asked for.
        platform: Platform,
        /// What there is.
        has: String,
    },
    /// A document that is none.
    #[error("{digest} is not a valid {kind}: {reason}")]
    Document {
        /// The document.
        digest: String,
        /// What it should be.
        kind: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// Something refers to it in another way than it is.
    #[error("{digest} is {len} bytes long, its descriptor says {expected}")]
    Size {
        /// The document.
        digest: String,
        /// Its length.
        len: u64,
        /// That of the descriptor.
        expected: u64,
    },
    /// A digest that is of another kind.
    #[error(transparent)]
    Digest(#[from] BlobError),
    /// More than an image has.
    #[error("the image has more than {0}")]
    TooMuch(String),
    /// It cannot be kept.
    #[error("cannot write the archive: {0}")]
    Write(#[from] io::Error),
}

struct Puller<'a> {
    registry: &'a Registry,
    archive: Writer<'a>,
    /// Manifests that have begun: one that contains itself ends.
    begun: BTreeSet<String>,
    /// Bytes that may still come.
    left: u64,
    /// Configuration and layers of the first image, for Docker.
    first: Option<(oci::Descriptor, Vec<oci::Descriptor>)>,
}

/// Writes the image, of an index only the one for `platform` if one is given, and what speaks of it to `output`.
pub fn pull(
    registry: &Registry,
    remote: &Remote,
    platform: Option<Platform>,
    output: &mut File,
) -> Result<Pulled, PullError> {
    let archive = Writer::new(output, 0)?;
    let (begun, left) = (BTreeSet::new(), MAX_ARCHIVE_LEN);
    let mut puller = Puller { registry, archive, begun, left, first: None };
    let missing = || PullError::Missing(remote.to_string());
    let mut root = registry.manifest(remote.selector())?.ok_or_else(missing)?;
    if let Some(platform) = platform.filter(|_| image::is_index_type(&root.media_type)) {
        let descriptor = child(&root, remote, platform)?;
        root = registry.manifest(&descriptor.digest)?.ok_or_else(missing)?;
    }
    puller.tree(&root, 1)?;
    let mut listed = vec![root.descriptor().named(remote.as_str())];
    listed.extend(puller.referrers(&root.digest)?);
    let Puller { archive, first, .. } = puller;
    let docker = first.map(|(config, layers)| oci::docker_manifest(&config, &layers, Some(remote.as_str())));
    archive.finish(&oci::index(&listed, &Labels::new()), docker.as_deref())?;
    Ok(Pulled { digest: root.digest, referrers: listed.len() - 1 })
}

fn parsed<T: serde::de::DeserializeOwned>(fetched: &Fetched, kind: &'static str) -> Result<T, PullError> {
    let digest = fetched.digest.clone();
    documents::parse(&fetched.bytes).map_err(|reason| PullError::Document { digest, kind, reason })
}

fn child(index: &Fetched, remote: &Remote, platform: Platform) -> Result<Descriptor, PullError> {
    let manifests = parsed::<Index>(index, "index")?.manifests;
    let of = |descriptor: &Descriptor| {
        descriptor.platform.as_ref().map(|of| (of.os.clone(), of.architecture.clone()))
    };
    let wanted = ("linux".to_owned(), platform.architecture().to_owned());
    let all = manifests.iter().filter_map(of).map(|(os, architecture)| format!("{os}/{architecture}"));
    let has = all.take(MAX_IMAGES).collect::<Vec<_>>().join(", ");
    let found = manifests.into_iter().find(|descriptor| of(descriptor).as_ref() == Some(&wanted));
    found.ok_or_else(|| PullError::Platform { name: remote.to_string(), platform, has })
}

impl Puller<'_> {
    /// Writes a manifest or index and everything below it.
    fn tree(&mut self, root: &Fetched, depth: usize) -> Result<(), PullError> {
        if depth > 2 || self.begun.len() >= MAX_IMAGES {
            return Err(PullError::TooMuch(format!("{MAX_IMAGES} manifests, or indexes within indexes")));
        }
        if !self.begun.insert(root.digest.clone()) {
            return Ok(());
        }
        if image::is_index_type(&root.media_type) {
            for descriptor in parsed::<Index>(root, "index")?.manifests {
                // Attestations, which nothing of ours reads.
                if descriptor.platform.as_ref().is_some_and(|of| of.architecture == "unknown") {
                    continue;
                }
                let below = self.fetch(&descriptor)?;
                self.tree(&below, depth + 1)?;
            }
        } else {
            self.manifest(&parsed(root, "manifest")?)?;
        }
        self.take(root.bytes.len() as u64)?;
        self.archive.document(&root.media_type, &root.bytes)?;
        Ok(())
    }

    fn fetch(&self, descriptor: &Descriptor) -> Result<Fetched, PullError> {
        blob_path(&descriptor.digest)?;
        let found = self.registry.manifest(&descriptor.digest)?;
        let found = found.ok_or_else(|| PullError::Missing(descriptor.digest.clone()))?;
        let (len, expected) = (found.bytes.len() as u64, descriptor.size);
        if len != expected {
            return Err(PullError::Size { digest: found.digest, len, expected });
        }
        Ok(found)
    }

    fn manifest(&mut self, manifest: &Manifest) -> Result<(), PullError> {
        if manifest.layers.len() > MAX_LAYERS {
            return Err(PullError::TooMuch(format!("{MAX_LAYERS} layers")));
        }
        let config = self.blob(&manifest.config)?;
        let layers = manifest.layers.iter().map(|layer| self.blob(layer)).collect::<Result<Vec<_>, _>>()?;
        let is_tar = |layer: &oci::Descriptor| layer.media_type.contains(".tar");
        // Docker can load what is made of tar files.
        if self.first.is_none() && manifest.subject.is_none() && layers.iter().all(is_tar) {
            self.first = Some((config, layers));
        }
        Ok(())
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<oci::Descriptor, PullError> {
        blob_path(&descriptor.digest)?;
        let described = oci::Descriptor::from(descriptor.clone());
        if self.archive.has(&descriptor.digest) {
            return Ok(described);
        }
        self.take(descriptor.size)?;
        let progress = Progress::new("pulling", descriptor.size);
        let mut tries = 1;
        loop {
            progress.restart();
            let seen = &mut |count| progress.add(count);
            let registry = self.registry;
            match self.archive.blob(&descriptor.media_type, |out| registry.read_blob(descriptor, out, seen)) {
                Ok(_) => return Ok(described),
                Err(error) if error.is_passing() && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, size: u64) -> Result<(), PullError> {
        let too_much = || PullError::TooMuch(format!("{MAX_ARCHIVE_LEN} bytes"));
        self.left = self.left.checked_sub(size).ok_or_else(too_much)?;
        Ok(())
    }

    fn referrers(&mut self, digest: &str) -> Result<Vec<oci::Descriptor>, PullError> {
        let mut found = Vec::new();
        for descriptor in self.registry.referrers(digest)? {
            let fetched = self.fetch(&descriptor)?;
            self.tree(&fetched, 1)?;
            found.push(oci::Descriptor::from(descriptor));
        }
        Ok(found)
    }
}
