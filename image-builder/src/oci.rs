//! The documents that make blobs an image: configuration, manifest and index of OCI, and Docker's
//! `manifest.json`.
//!
//! Own types, because the bytes must be reproducible: fields are written in the order given here, maps
//! sorted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::epoch::Epoch;
use crate::platform::Platform;

/// Labels or annotations, sorted by key.
pub type Labels = BTreeMap<String, String>;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// Contents of the file `oci-layout`.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Bytes with what refers to them.
#[derive(Clone, Debug)]
pub struct Blob {
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Labels,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Blob {
        let digest = format!("sha256:{}", firmware::checksum::sha256(&bytes));
        let size = bytes.len() as u64;
        Blob { descriptor: Descriptor { media_type, digest, size, annotations: Labels::new() }, bytes }
    }

    /// A layer of a plain tar file.
    pub fn layer(tar: Vec<u8>) -> Blob {
        Blob::new(LAYER_TYPE, tar)
    }

    /// `sha256:` and 64 hex digits.
    pub fn digest(&self) -> &str {
        &self.descriptor.digest
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Path of the blob in an image layout.
    pub fn path(&self) -> String {
        format!("blobs/{}", self.digest().replace(':', "/"))
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

/// The configuration of an image with one plain layer.
pub fn config(
    platform: Platform,
    created: Option<Epoch>,
    entrypoint: &[&str],
    labels: &Labels,
    layer: &Blob,
) -> Blob {
    Blob::new(
        CONFIG_TYPE,
        json(&ImageConfig {
            created: created.map(|time| time.to_string()),
            architecture: platform.architecture(),
            os: "linux",
            config: RunConfig { entrypoint, labels },
            rootfs: RootFs { r#type: "layers", diff_ids: [layer.digest()] },
        }),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: &'a Descriptor,
    layers: [&'a Descriptor; 1],
    annotations: &'a Labels,
}

/// The manifest of an image with one layer.
pub fn manifest(config: &Blob, layer: &Blob, annotations: &Labels) -> Blob {
    Blob::new(
        MANIFEST_TYPE,
        json(&Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: &config.descriptor,
            layers: [&layer.descriptor],
            annotations,
        }),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: [Descriptor; 1],
}

/// Contents of `index.json`: one image under its name, in the annotations from which containerd and other
/// tools take it.
///
/// No platform is given: containerd would otherwise skip the image on import where it does not match, instead
/// of saying so on use.
pub fn index(manifest: &Blob, name: &str) -> Vec<u8> {
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    let annotations = names.into_iter().map(|key| (key.to_owned(), name.to_owned())).collect();
    let descriptor = Descriptor { annotations, ..manifest.descriptor.clone() };
    json(&Index { schema_version: 2, media_type: INDEX_TYPE, manifests: [descriptor] })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: [String; 1],
}

/// Contents of `manifest.json`, by which `docker load` finds the same blobs.
pub fn docker_manifest(config: &Blob, layer: &Blob, name: &str) -> Vec<u8> {
    json(&[DockerManifest { config: config.path(), repo_tags: [name], layers: [layer.path()] }])
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("strings, numbers and maps with text keys are always valid JSON")
}
