//! The bill of materials of an image: one that the build of the firmware made, or what the builder knows itself, in the
//! form of CycloneDX 1.6.

use serde::Serialize;
use serde_json::{Value, json};

use firmware::{label, layout};

use crate::content::Content;
use crate::epoch::Epoch;
use crate::oci::{self, Labels};
use crate::reference::Reference;

/// Longest document that is taken.
pub const MAX_LEN: u64 = 64 << 20;

const CYCLONEDX_TYPE: &str = "application/vnd.cyclonedx+json";
const SPDX_TYPE: &str = "application/spdx+json";

/// Where the document comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sbom {
    /// The builder writes it.
    Made,
    /// It is given, with its media type.
    Given(&'static str, Vec<u8>),
}

/// A document is not a bill of materials.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither SPDX nor CycloneDX in JSON: {0}")]
pub struct SbomError(String);

impl Sbom {
    /// Takes a document of either kind.
    pub fn given(bytes: Vec<u8>) -> Result<Sbom, SbomError> {
        let document: Value = serde_json::from_slice(&bytes).map_err(|error| SbomError(error.to_string()))?;
        if document.get("spdxVersion").or(document.get("@context")).is_some() {
            return Ok(Sbom::Given(SPDX_TYPE, bytes));
        }
        if document.get("bomFormat").is_some_and(|format| format == "CycloneDX") {
            return Ok(Sbom::Given(CYCLONEDX_TYPE, bytes));
        }
        Err(SbomError("there is no spdxVersion, @context or bomFormat".to_owned()))
    }

    /// What it is called in manifests.
    pub fn media_type(&self) -> &'static str {
        match self {
            Sbom::Made => CYCLONEDX_TYPE,
            Sbom::Given(media_type, _) => media_type,
        }
    }

    /// The document for an image with these labels and files.
    pub(crate) fn document(
        &self,
        name: &Reference,
        labels: &Labels,
        files: &[(&str, &Content)],
        time: Option<Epoch>,
    ) -> Vec<u8> {
        match self {
            Sbom::Made => made(name, labels, files, time),
            Sbom::Given(_, bytes) => bytes.clone(),
        }
    }
}

/// Annotations of its manifest.
pub(crate) fn annotations(time: Option<Epoch>) -> Labels {
    let created = time.map(|time| ("org.opencontainers.image.created".to_owned(), time.to_string()));
    created.into_iter().collect()
}

/// Fields are written in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
}

#[derive(Serialize)]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    tools: Value,
    component: Component,
}

#[derive(Serialize)]
struct Component {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Value>,
}

fn made(name: &Reference, labels: &Labels, files: &[(&str, &Content)], time: Option<Epoch>) -> Vec<u8> {
    let label = |key: &str| labels.get(key).cloned();
    let licenses = label("org.opencontainers.image.licenses");
    let image = Component {
        r#type: "container",
        bom_ref: "image".to_owned(),
        name: name.as_str().to_owned(),
        version: label("org.opencontainers.image.version"),
        hashes: Vec::new(),
        licenses: licenses.into_iter().map(|expression| json!({ "expression": expression })).collect(),
    };
    let rtos = label(label::RTOS).map(|rtos| Component {
        r#type: "operating-system",
        bom_ref: "rtos".to_owned(),
        name: rtos,
        version: label(label::RTOS_VERSION),
        hashes: Vec::new(),
        licenses: Vec::new(),
    });
    let made = Metadata {
        timestamp: time.map(|time| time.to_string()),
        tools: json!({ "components": [{
            "type": "application", "name": "micrun-image-builder", "version": env!("CARGO_PKG_VERSION"),
        }] }),
        component: image,
    };
    oci::json(&Bom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        version: 1,
        metadata: made,
        components: rtos.into_iter().chain(files.iter().map(|(path, content)| file(path, content))).collect(),
    })
}

fn file(path: &str, content: &Content) -> Component {
    Component {
        r#type: if path == layout::FIRMWARE { "firmware" } else { "file" },
        bom_ref: format!("file:{path}"),
        name: path.to_owned(),
        version: None,
        hashes: vec![json!({ "alg": "SHA-256", "content": content.sha256() })],
        licenses: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_both_kinds_are_taken_and_others_are_not() {
        let kind = |text: &str| Sbom::given(text.as_bytes().to_vec()).map(|sbom| sbom.media_type());
        assert_eq!(kind(r#"{"spdxVersion":"SPDX-2.3"}"#), Ok(SPDX_TYPE));
        assert_eq!(kind(r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}"#), Ok(SPDX_TYPE));
        assert_eq!(kind(r#"{"bomFormat":"CycloneDX"}"#), Ok(CYCLONEDX_TYPE));
        for text in ["", "{}", "[1]", r#"{"bomFormat":"other"}"#] {
            let error = kind(text).expect_err(text).to_string();
            assert!(error.starts_with("it is neither SPDX nor CycloneDX in JSON: "), "{error}");
        }
    }
}
