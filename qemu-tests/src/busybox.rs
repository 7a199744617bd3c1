//! An ordinary Linux image with a shell: shows that the harness works without micrun, and is what runc runs in the
//! benchmarks.

use std::env;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Environment variable with the path of a statically linked busybox.
const BUSYBOX: &str = "MICRUN_BUSYBOX";

/// Name of the image once it is imported.
pub const IMAGE: &str = "localhost/busybox:1";

/// The statically linked busybox of this test run.
///
/// # Panics
/// The tests were not started by `cargo xtask test`.
#[must_use]
pub fn program() -> PathBuf {
    let path = env::var_os(BUSYBOX).map(PathBuf::from).filter(|path| path.is_file());
    path.unwrap_or_else(|| panic!("{BUSYBOX} names no file: run the tests by `cargo xtask test`"))
}

/// Writes an image archive for the host's platform to `archive`: `/bin/busybox`, and `sh` as its entry point.
///
/// # Errors
/// `busybox` can't be read or `archive` can't be written.
pub fn write_image(busybox: &Path, archive: &Path) -> Result<()> {
    let mut program = Vec::new();
    let mut file = File::open(busybox).with_context(|| busybox.display().to_string())?;
    file.read_to_end(&mut program)?;
    let blob = layer(&program)?;
    let config = json!({
        "architecture": platform(),
        "os": "linux",
        "config": { "Env": ["PATH=/bin"], "Entrypoint": ["/bin/sh"] },
        "rootfs": { "type": "layers", "diff_ids": [digest(&blob)] },
    });
    fs::write(archive, layout(&blob, &config)?)?;
    Ok(())
}

fn layer(program: &[u8]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    add(&mut layer, "bin/busybox", program)?;
    let mut link = header(EntryType::Symlink, 0);
    layer.append_link(&mut link, "bin/sh", "busybox")?;
    // runc mounts over these, and does not make them in a read-only root.
    for directory in ["dev", "proc", "run", "sys"] {
        layer.append_data(&mut header(EntryType::Directory, 0), directory, std::io::empty())?;
    }
    Ok(layer.into_inner()?)
}

/// The OCI image layout as one tar archive.
fn layout(layer: &[u8], config: &Value) -> Result<Vec<u8>> {
    let config = serde_json::to_vec(config)?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }))?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": IMAGE });
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
