//! The documents of an image as others wrote them. Only what is needed is read, the rest is passed over.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::oci::Labels;

/// Longest document: what registries allow for a manifest.
pub const MAX_LEN: u64 = 4 << 20;
/// Most characters of a parser's complaint, which may quote the document.
const MAX_REASON: usize = 200;

/// What refers to a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// `sha256:` and 64 hex digits, unchecked.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    pub(crate) annotations: Option<Labels>,
    pub(crate) platform: Option<PlatformDocument>,
    pub(crate) artifact_type: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PlatformDocument {
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) subject: Option<Descriptor>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Labels>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) architecture: String,
    pub(crate) os: String,
    pub(crate) variant: Option<String>,
    pub(crate) created: Option<String>,
    pub(crate) config: Option<RunConfig>,
    pub(crate) rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunConfig {
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) labels: Option<Labels>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<String>,
}

/// Reads a document; the error is the parser's, shortened.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string().chars().take(MAX_REASON).collect())
}
