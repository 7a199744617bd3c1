//! The documents that make blobs an image: configuration, manifest and index of OCI, and Docker's
//! `manifest.json`.
//!
//! Own types, because the bytes must be reproducible: fields are written in the order given here, maps
//! sorted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::documents;
use crate::epoch::Epoch;
use crate::platform::Platform;

/// Labels or annotations, sorted by key.
pub type Labels = BTreeMap<String, String>;

/// Media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image's configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of the configuration of what is no image.
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// All that there is of that type.
pub const EMPTY: &[u8] = b"{}";

/// Contents of the file `oci-layout`.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Keys under which an index has the name of an image: containerd's own, and the one of the image layout.
pub const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// What refers to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<PlatformDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct PlatformDocument {
    architecture: &'static str,
    os: &'static str,
}

impl Descriptor {
    /// One with nothing but what it must have.
    pub fn new(media_type: &str, digest: String, size: u64) -> Descriptor {
        let media_type = media_type.to_owned();
        Descriptor {
            media_type,
            digest,
            size,
            annotations: Labels::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// Path of the blob in an image layout.
    pub fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }

    /// The same for an image of that name.
    pub fn named(mut self, name: &str) -> Descriptor {
        self.annotations = NAMES.into_iter().map(|key| (key.to_owned(), name.to_owned())).collect();
        self
    }

    /// The same for an image of that platform.
    pub fn on(mut self, platform: Platform) -> Descriptor {
        self.platform = Some(PlatformDocument { architecture: platform.architecture(), os: "linux" });
        self
    }

    /// The same for an artifact of that type.
    pub fn of_type(mut self, artifact_type: &str) -> Descriptor {
        self.artifact_type = Some(artifact_type.to_owned());
        self
    }
}

impl From<documents::Descriptor> for Descriptor {
    /// Without what says where it is.
    fn from(read: documents::Descriptor) -> Descriptor {
        let descriptor = Descriptor::new(&read.media_type, read.digest, read.size);
        Descriptor { artifact_type: read.artifact_type, ..descriptor }
    }
}

#[derive(Serialize)]
struct ImageConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    architecture: &'static str,
    os: &'static str,
    config: RunConfig<'a>,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig<'a> {
    entrypoint: &'a [&'a str],
    labels: &'a Labels,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'static str,
    diff_ids: [&'a str; 1],
}

/// The configuration of an image with one layer.
pub fn config(
    platform: Platform,
    created: Option<Epoch>,
    entrypoint: &[&str],
    labels: &Labels,
    diff_id: &str,
) -> Vec<u8> {
    json(&ImageConfig {
        created: created.map(|time| time.to_string()),
        architecture: platform.architecture(),
        os: "linux",
        config: RunConfig { entrypoint, labels },
        rootfs: RootFs { r#type: "layers", diff_ids: [diff_id] },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: &'a Descriptor,
    layers: [&'a Descriptor; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Labels,
}

/// The manifest of an image with one layer.
pub fn manifest(config: &Descriptor, layer: &Descriptor, annotations: &Labels) -> Vec<u8> {
    json(&Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE,
        artifact_type: None,
        config,
        layers: [layer],
        subject: None,
        annotations,
    })
}

/// The manifest of something that is no image and speaks of one. `empty` is of [`EMPTY`].
pub fn referrer(
    artifact_type: &str,
    empty: &Descriptor,
    blob: &Descriptor,
    subject: &Descriptor,
    annotations: &Labels,
) -> Vec<u8> {
    json(&Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE,
        artifact_type: Some(artifact_type),
        config: empty,
        layers: [blob],
        subject: Some(subject),
        annotations,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [Descriptor],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Labels,
}

/// An index: of an image for several platforms, or the file `index.json` of an image layout.
///
/// The layout's names its image by annotations. It gives no platform: containerd would otherwise skip the image on import
/// where it does not match, instead of saying so on use.
pub fn index(manifests: &[Descriptor], annotations: &Labels) -> Vec<u8> {
    json(&Index { schema_version: 2, media_type: INDEX_TYPE, manifests, annotations })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest<'a> {
    config: String,
    repo_tags: Option<[&'a str; 1]>,
    layers: Vec<String>,
}

/// Contents of `manifest.json`, by which `docker load` finds the same blobs.
pub fn docker_manifest<'a>(
    config: &Descriptor,
    layers: impl IntoIterator<Item = &'a Descriptor>,
    name: Option<&str>,
) -> Vec<u8> {
    let layers = layers.into_iter().map(Descriptor::path).collect();
    json(&[DockerManifest { config: config.path(), repo_tags: name.map(|name| [name]), layers }])
}

pub(crate) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("strings, numbers and maps with text keys are always valid JSON")
}
