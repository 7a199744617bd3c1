//! An image as it is read back from an archive, whoever made it: `index.json`, manifest, configuration, layers, each
//! proven by its digest.

mod roots;

use serde::Serialize;

use crate::blobs::{BlobError, Blobs, blob_path};
use crate::documents::{self, Config, Descriptor, Index, Manifest};
use crate::layers::{self, LayerError};
use crate::oci::{CONFIG_TYPE, INDEX_TYPE, Labels, MANIFEST_TYPE, NAMES};
use crate::platform::Platform;
use crate::progress::Progress;

use roots::subject;
pub(crate) use roots::{Roots, roots};

/// More images than an archive has for all platforms together; bounds the work.
pub(crate) const MAX_IMAGES: usize = 64;
/// Indexes within indexes: the archive's, the image's, and one to spare.
pub(crate) const MAX_DEPTH: usize = 3;

/// One image of an archive, without its files.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    /// Its name, if the archive has one for it.
    pub name: Option<String>,
    /// Digest of the manifest.
    pub digest: String,
    /// Operating system, architecture and variant of the containerd host, as `linux/arm64`.
    pub platform: String,
    /// Time of the image, unchecked.
    pub created: Option<String>,
    /// Program and arguments.
    pub entrypoint: Vec<String>,
    /// Labels of the configuration.
    pub labels: Labels,
    /// Annotations of the manifest.
    pub annotations: Labels,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// What else the archive has that speaks of it, such as signatures.
    pub referrers: Vec<Referrer>,
}

/// A manifest whose subject is the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Referrer {
    /// What it is, a media type.
    pub kind: String,
    /// Digest of the manifest.
    pub digest: String,
}

impl Referrer {
    /// True if it is a signature of one of the known kinds.
    pub fn is_signature(&self) -> bool {
        ["application/vnd.dev.sigstore.", "application/vnd.dev.cosign.", "application/vnd.cncf.notary."]
            .iter()
            .any(|prefix| self.kind.starts_with(prefix))
    }
}

/// What the manifest says of a layer.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// Digest of the stored bytes.
    pub digest: String,
    /// How they are packed.
    pub media_type: String,
    /// How many there are.
    pub bytes: u64,
}

/// Why there is no image to look at.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The archive.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A document that is none.
    #[error("{path:?} is not a valid {kind}: {reason}")]
    Document {
        /// The file.
        path: String,
        /// What it should be.
        kind: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// More than a reader should have to go through.
    #[error("archive has more than {MAX_IMAGES} images or indexes nested deeper than {MAX_DEPTH}")]
    TooMany,
    /// Nothing to look at.
    #[error("archive has no image{0}")]
    None(String),
    /// It is not clear which one is meant.
    #[error("archive has several images{0}")]
    Several(String),
    /// Not every layer can be proven.
    #[error("manifest has {layers} layers, the configuration has {diff_ids} diff ids")]
    DiffIds {
        /// Layers of the manifest.
        layers: usize,
        /// Ids of the configuration.
        diff_ids: usize,
    },
    /// A layer.
    #[error("layer {digest}: {source}")]
    Layer {
        /// The layer.
        digest: String,
        /// Why.
        source: LayerError,
    },
}

struct Found {
    image: Image,
    layers: Vec<Descriptor>,
    diff_ids: Vec<String>,
}

/// Reads the image of an archive; of several the one for `platform`, or for this machine if none is given. Gives the
/// image and its layers, unpacked, lowest first.
pub fn read(blobs: &Blobs, platform: Option<Platform>) -> Result<(Image, Vec<layers::Layer>), ImageError> {
    let index: Index = document("index.json", "index", &blobs.read("index.json", documents::MAX_LEN)?)?;
    let mut images = Vec::new();
    for descriptor in &index.manifests {
        collect(blobs, descriptor, name(descriptor), 1, &mut images)?;
    }
    let mut found = choose(images, platform)?;
    for descriptor in &index.manifests {
        let Some((subject, kind)) = subject(blobs, descriptor)? else { continue };
        if subject == found.image.digest || index.manifests.iter().any(|listed| listed.digest == subject) {
            found.image.referrers.push(Referrer { kind, digest: descriptor.digest.clone() });
        }
    }
    let layers = unpack(blobs, &found)?;
    Ok((found.image, layers))
}

pub(crate) fn is_index(descriptor: &Descriptor) -> bool {
    is_index_type(&descriptor.media_type)
}

pub(crate) fn is_index_type(media_type: &str) -> bool {
    matches!(media_type, INDEX_TYPE | "application/vnd.docker.distribution.manifest.list.v2+json")
}

fn is_manifest(descriptor: &Descriptor) -> bool {
    matches!(
        descriptor.media_type.as_str(),
        MANIFEST_TYPE | "application/vnd.docker.distribution.manifest.v2+json"
    )
}

fn name(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations.as_ref()?;
    NAMES.iter().find_map(|key| annotations.get(*key)).map(String::as_str)
}

fn collect(
    blobs: &Blobs,
    descriptor: &Descriptor,
    name: Option<&str>,
    depth: usize,
    images: &mut Vec<Found>,
) -> Result<(), ImageError> {
    if depth > MAX_DEPTH || images.len() >= MAX_IMAGES {
        return Err(ImageError::TooMany);
    }
    // Exports of one platform keep the index of all; attestations have the platform unknown/unknown.
    let attests = descriptor.platform.as_ref().is_some_and(|platform| platform.architecture == "unknown");
    let path = blob_path(&descriptor.digest)?;
    if attests || (depth > 1 && !blobs.has(&path)) {
        return Ok(());
    }
    if is_index(descriptor) {
        let index: Index = document(&path, "index", &blobs.read_blob(descriptor, documents::MAX_LEN)?)?;
        if index.manifests.len() > MAX_IMAGES {
            return Err(ImageError::TooMany);
        }
        return index.manifests.iter().try_for_each(|inner| collect(blobs, inner, name, depth + 1, images));
    }
    if is_manifest(descriptor) {
        images.extend(manifest(blobs, descriptor, name)?);
    }
    Ok(())
}

/// The image of a manifest; `None` if it is of another kind, such as a signature.
fn manifest(blobs: &Blobs, descriptor: &Descriptor, name: Option<&str>) -> Result<Option<Found>, ImageError> {
    let path = blob_path(&descriptor.digest)?;
    let manifest: Manifest = document(&path, "manifest", &blobs.read_blob(descriptor, documents::MAX_LEN)?)?;
    if !matches!(
        manifest.config.media_type.as_str(),
        CONFIG_TYPE | "application/vnd.docker.container.image.v1+json"
    ) {
        return Ok(None);
    }
    let path = blob_path(&manifest.config.digest)?;
    let bytes = blobs.read_blob(&manifest.config, documents::MAX_LEN)?;
    let config: Config = document(&path, "configuration", &bytes)?;
    let layers: Vec<Descriptor> = manifest.layers.into_iter().filter(is_layer).collect();
    let variant = config.variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    let run = config.config.unwrap_or_default();
    let image = Image {
        name: name.map(str::to_owned),
        digest: descriptor.digest.clone(),
        platform: format!("{}/{}{variant}", config.os, config.architecture),
        created: config.created,
        entrypoint: run.entrypoint.unwrap_or_default(),
        labels: run.labels.unwrap_or_default(),
        annotations: manifest.annotations.unwrap_or_default(),
        layers: layers.iter().map(layer).collect(),
        referrers: Vec::new(),
    };
    Ok(Some(Found { image, layers, diff_ids: config.rootfs.diff_ids }))
}

/// containerd's rule: blobs of other types may ride along and are not unpacked.
fn is_layer(descriptor: &Descriptor) -> bool {
    let types = [
        "application/vnd.oci.image.layer.",
        "application/vnd.docker.image.rootfs.",
        "application/vnd.erofs.layer.",
    ];
    types.iter().any(|prefix| descriptor.media_type.starts_with(prefix))
}

fn layer(descriptor: &Descriptor) -> Layer {
    Layer {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        bytes: descriptor.size,
    }
}

fn choose(mut images: Vec<Found>, platform: Option<Platform>) -> Result<Found, ImageError> {
    let wanted = match (platform, images.len()) {
        (None, 0..=1) => None,
        (None, _) => Platform::host().ok(),
        (given, _) => given,
    };
    let has = list(&images);
    if let Some(platform) = wanted {
        let name = platform.to_string();
        let fits = |image: &str| {
            image == name || image.strip_prefix(&name).is_some_and(|rest| rest.starts_with('/'))
        };
        images.retain(|found| fits(&found.image.platform));
    }
    let of = wanted.map(|platform| format!(" for {platform}")).unwrap_or_default();
    let found = images.pop().ok_or_else(|| ImageError::None(format!("{of}{has}")))?;
    // One image may stand there under several names.
    if images.iter().any(|other| other.image.digest != found.image.digest) {
        return Err(ImageError::Several(format!("{of}{has}")));
    }
    Ok(found)
}

fn list(images: &[Found]) -> String {
    let shown = |found: &Found| {
        format!("{:?} for {:?}", found.image.name.as_deref().unwrap_or(""), found.image.platform)
    };
    let all: Vec<String> = images.iter().map(shown).collect();
    if all.is_empty() { String::new() } else { format!(", it has {}", all.join(", ")) }
}

fn unpack(blobs: &Blobs, found: &Found) -> Result<Vec<layers::Layer>, ImageError> {
    let (layers, diff_ids) = (found.layers.len(), found.diff_ids.len());
    if layers != diff_ids {
        return Err(ImageError::DiffIds { layers, diff_ids });
    }
    let (mut unpacked, mut left) = (Vec::new(), layers::MAX_LEN);
    for (descriptor, diff_id) in found.layers.iter().zip(&found.diff_ids) {
        let checking = Progress::new("checking", descriptor.size);
        let blob = blobs.check_blob(descriptor, |count| checking.add(count))?;
        let layer = layers::unpack(&blob, &descriptor.digest, diff_id, left)
            .map_err(|source| ImageError::Layer { digest: descriptor.digest.clone(), source })?;
        left = left.saturating_sub(layer.len());
        unpacked.push(layer);
    }
    Ok(unpacked)
}

pub(crate) fn document<T: serde::de::DeserializeOwned>(
    path: &str,
    kind: &'static str,
    bytes: &[u8],
) -> Result<T, ImageError> {
    documents::parse(bytes).map_err(|reason| ImageError::Document { path: path.to_owned(), kind, reason })
}
