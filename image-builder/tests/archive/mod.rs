//! Reads an archive back with the `tar` and `oci-spec` crates and verifies every digest on the way.

use std::fs;
use std::io::Read;

use firmware::checksum;
use firmware::client_conf::Warning;
use image_builder::bundle::{BundleError, Request, bundle};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde_json::Value;

/// An image in memory.
#[derive(Debug)]
pub struct Packed {
    pub archive: Vec<u8>,
    pub digest: String,
    pub warnings: Vec<Warning>,
}

/// Makes the image.
pub fn packed(request: &Request<'_>) -> Result<Packed, BundleError> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let image = bundle(request, file.as_file_mut())?;
    let archive = fs::read(file.path()).expect("readable");
    Ok(Packed { archive, digest: image.digest, warnings: image.warnings })
}

/// One entry of a tar file.
pub struct Entry {
    pub path: String,
    pub mode: u32,
    pub mtime: u64,
    pub bytes: Vec<u8>,
}

/// The entries of a tar file, each proven to be plain ustar, owned by 0:0 without names.
pub fn entries(tar: &[u8]) -> Vec<Entry> {
    assert!(tar.ends_with(&[0; 1024]), "two zero blocks at the end");
    tar::Archive::new(tar)
        .entries()
        .expect("a tar file")
        .map(|entry| read(entry.expect("an entry")))
        .collect()
}

fn read(mut entry: tar::Entry<'_, &[u8]>) -> Entry {
    let header = entry.header().clone();
    let ustar = header.as_ustar().expect("an ustar header");
    assert_eq!((header.uid().expect("uid"), header.gid().expect("gid")), (0, 0));
    assert_eq!((ustar.username_bytes(), ustar.groupname_bytes()), (&b""[..], &b""[..]));
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).expect("readable");
    Entry {
        path: entry.path().expect("a path").display().to_string(),
        mode: header.mode().expect("mode"),
        mtime: header.mtime().expect("mtime"),
        bytes,
    }
}

/// An archive taken apart.
pub struct Archive {
    pub index: ImageIndex,
    pub manifest_digest: String,
    pub manifest: ImageManifest,
    pub config: ImageConfiguration,
    pub layer: Vec<u8>,
    pub docker: Value,
}

impl Archive {
    /// Follows the descriptors from the index on; every blob must be there with its digest and size, and no
    /// other.
    pub fn open(tar: &[u8]) -> Archive {
        let entries = entries(tar);
        let file = |path: &str| {
            let found = entries.iter().find(|entry| entry.path == path);
            found.unwrap_or_else(|| panic!("{path} is missing")).bytes.as_slice()
        };
        let blob = |descriptor: &Descriptor| {
            let hex = descriptor.digest().as_ref().strip_prefix("sha256:").expect("a sha256 digest");
            let bytes = file(&format!("blobs/sha256/{hex}"));
            assert_eq!((checksum::sha256(bytes).as_str(), bytes.len() as u64), (hex, descriptor.size()));
            bytes.to_vec()
        };
        assert_eq!(file("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = ImageIndex::from_reader(file("index.json")).expect("an index");
        let [entry] = index.manifests().as_slice() else { panic!("one manifest") };
        let manifest = ImageManifest::from_reader(blob(entry).as_slice()).expect("a manifest");
        let [layer] = manifest.layers().as_slice() else { panic!("one layer") };
        let config =
            ImageConfiguration::from_reader(blob(manifest.config()).as_slice()).expect("a configuration");
        let layer = blob(layer);
        let docker = serde_json::from_slice(file("manifest.json")).expect("JSON");
        // Two directories, three blobs, three documents.
        assert_eq!(entries.len(), 8);
        let manifest_digest = entry.digest().to_string();
        Archive { index, manifest_digest, manifest, config, layer, docker }
    }
}
