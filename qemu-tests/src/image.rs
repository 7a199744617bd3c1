//! Writes image archives with whatever a test wants in them, also what micrun's own builder refuses to pack.

use std::env;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// An image for the host's platform to be: one layer, one entry point.
#[derive(Debug)]
pub struct Image {
    name: String,
    entry_point: String,
    layer: Layer,
}

/// `tar::Builder` says nothing of itself.
struct Layer(Builder<Vec<u8>>);

impl std::fmt::Debug for Layer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} bytes", self.0.get_ref().len())
    }
}

impl Image {
    /// An empty image that is known as `name` once it is imported. An empty entry point is none.
    #[must_use]
    pub fn new(name: &str, entry_point: &str) -> Self {
        let layer = Layer(Builder::new(Vec::new()));
        Self { name: name.to_owned(), entry_point: entry_point.to_owned(), layer }
    }

    /// Adds a file that anybody may execute.
    ///
    /// # Errors
    /// `path` is none that tar can hold, as with all that follow.
    pub fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        add(&mut self.layer.0, path, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Image::file`].
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        Ok(self.layer.0.append_link(&mut header(EntryType::Symlink, 0), path, target)?)
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// As [`Image::file`].
    pub fn directory(&mut self, path: &str) -> Result<()> {
        Ok(self.layer.0.append_data(&mut header(EntryType::Directory, 0), path, std::io::empty())?)
    }

    /// Adds a FIFO.
    ///
    /// # Errors
    /// As [`Image::file`].
    pub fn fifo(&mut self, path: &str) -> Result<()> {
        Ok(self.layer.0.append_data(&mut header(EntryType::Fifo, 0), path, std::io::empty())?)
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// `archive` can't be written.
    pub fn write(self, archive: &Path) -> Result<()> {
        let layer = self.layer.0.into_inner()?;
        let entry_point: Vec<_> =
            Some(self.entry_point).filter(|path| !path.is_empty()).into_iter().collect();
        let config = json!({
            "architecture": platform(),
            "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Entrypoint": entry_point },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        Ok(fs::write(archive, layout(&self.name, &layer, &config)?)?)
    }
}

/// The OCI image layout as one tar archive.
fn layout(name: &str, layer: &[u8], config: &Value) -> Result<Vec<u8>> {
    let config = serde_json::to_vec(config)?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }))?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": name });
    let index = serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [entry] }))?;
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", &index)?;
    for blob in [layer, &config, &manifest] {
        add(&mut archive, &format!("blobs/{}", digest(blob).replace(':', "/")), blob)?;
    }
    Ok(archive.into_inner()?)
}

fn add(archive: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, content.len() as u64);
    Ok(archive.append_data(&mut header, path, Cursor::new(content))?)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o755);
    header
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    let hex: String = Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The host's architecture in the words of OCI, which are Go's.
fn platform() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
