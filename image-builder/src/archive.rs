//! Puts an image into one tar file that is an OCI image layout and a Docker archive at once.

use std::io;

use crate::oci::{self, Blob};
use crate::ustar::Ustar;

/// The archive of one image with one layer; `mtime` is the time of all entries.
pub fn build(name: &str, config: &Blob, manifest: &Blob, layer: &Blob, mtime: u64) -> io::Result<Vec<u8>> {
    let mut blobs = [config, manifest, layer];
    blobs.sort_unstable_by_key(|blob| blob.digest());
    let mut tar = Ustar::new(mtime);
    tar.directory("blobs/")?;
    tar.directory("blobs/sha256/")?;
    for blob in blobs {
        tar.file(&blob.path(), blob.bytes())?;
    }
    tar.file("index.json", &oci::index(manifest, name))?;
    tar.file("manifest.json", &oci::docker_manifest(config, layer, name))?;
    tar.file("oci-layout", oci::LAYOUT.as_bytes())?;
    tar.finish()
}
