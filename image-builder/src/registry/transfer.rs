//! Manifests and blobs, there and back.

use std::io::{self, Read, Write};

use ureq::http::{HeaderMap, Method, StatusCode, header};

use super::{Payload, Registry, RegistryError, TRIES, expect, refused, whole};
use crate::documents::{self, Descriptor};
use crate::oci;
use crate::text::printable;

/// What may come as a manifest.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.docker.distribution.manifest.v2+json";
const DIGEST: header::HeaderName = header::HeaderName::from_static("docker-content-digest");
const SUBJECT: header::HeaderName = header::HeaderName::from_static("oci-subject");
/// Bytes that are in memory at once.
const PIECE: usize = 64 << 10;

/// A manifest or an index, whole.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What it is.
    pub media_type: String,
    /// Its own digest.
    pub digest: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Registry {
    /// The manifest or index under a tag or a digest; `None` if there is none.
    pub fn manifest(&self, selector: &str) -> Result<Option<Fetched>, RegistryError> {
        let url = self.url(&format!("manifests/{selector}"));
        let answer = self.call(&Method::GET, &url, &[(header::ACCEPT, ACCEPTED)], None)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = expect(&url, answer, StatusCode::OK)?;
        let promised = text(answer.headers(), &DIGEST);
        let media_type = text(answer.headers(), &header::CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = whole(&url, answer, documents::MAX_LEN)?;
        let actual = format!("sha256:{}", firmware::checksum::sha256(&bytes));
        let wanted = Some(selector.to_owned()).filter(|selector| selector.contains(':')).or(promised);
        match wanted.filter(|wanted| *wanted != actual) {
            Some(expected) => Err(RegistryError::Digest { url, actual, expected }),
            None => Ok(Some(Fetched { media_type, digest: actual, bytes })),
        }
    }

    /// Writes a blob to `out`. It may be there in part if this fails; then `out` must be as before.
    pub fn read_blob(
        &self,
        descriptor: &Descriptor,
        out: &mut dyn Write,
        seen: &mut dyn FnMut(usize),
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("blobs/{}", descriptor.digest));
        let answer = self.call(&Method::GET, &url, &[], None)?;
        let answer = expect(&url, answer, StatusCode::OK)?;
        let mut reader = answer.into_body().into_reader().take(descriptor.size.saturating_add(1));
        let (mut piece, mut sums) = (vec![0; PIECE], firmware::checksum::Sums::default());
        let mut len = 0;
        loop {
            let count = reader.read(&mut piece).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    RegistryError::Short { url: url.clone(), len, expected: descriptor.size }
                }
                _ => RegistryError::reading(&url, error),
            })?;
            if count == 0 {
                break;
            }
            len += count as u64;
            let bytes = piece.get(..count).unwrap_or_default();
            sums.update(bytes);
            seen(count);
            if len > descriptor.size {
                return Err(RegistryError::TooLong { url, limit: descriptor.size });
            }
            out.write_all(bytes)?;
        }
        if len < descriptor.size {
            return Err(RegistryError::Short { url, len, expected: descriptor.size });
        }
        let (actual, expected) = (format!("sha256:{}", sums.finish().1), descriptor.digest.clone());
        if actual == expected { Ok(()) } else { Err(RegistryError::Digest { url, actual, expected }) }
    }

    /// True if the repository has the blob.
    pub fn has_blob(&self, digest: &str) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"));
        let answer = self.call(&Method::HEAD, &url, &[], None)?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(&url, answer)),
        }
    }

    /// Brings a blob there. `open` gives a reader from its start for each try.
    pub fn write_blob<R: Read>(
        &self,
        digest: &str,
        size: u64,
        mut open: impl FnMut() -> io::Result<R>,
    ) -> Result<(), RegistryError> {
        let mut tries = 1;
        loop {
            match self.upload(digest, size, &mut open) {
                Err(error) if error.is_passing() && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    fn upload<R: Read>(
        &self,
        digest: &str,
        size: u64,
        open: &mut impl FnMut() -> io::Result<R>,
    ) -> Result<(), RegistryError> {
        let url = self.url("blobs/uploads/");
        let answer = self.call(&Method::POST, &url, &[(header::CONTENT_LENGTH, "0")], None)?;
        let answer = expect(&url, answer, StatusCode::ACCEPTED)?;
        let location = self.location(&url, answer.headers())?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
        let mut reader = open()?;
        let answer = self.send(&Method::PUT, &url, &headers, Payload::Stream(&mut reader, size))?;
        expect(&url, answer, StatusCode::CREATED).map(drop)
    }

    /// Where the registry says to go on.
    fn location(&self, url: &str, headers: &HeaderMap) -> Result<String, RegistryError> {
        let location = text(headers, &header::LOCATION).unwrap_or_default();
        if let Some(path) = location.strip_prefix('/').filter(|path| !path.starts_with('/')) {
            return Ok(format!("{}{path}", self.origin));
        }
        if ["https://", "http://"].iter().any(|scheme| location.starts_with(scheme)) {
            return Ok(location);
        }
        let what = format!("Location is {:?}", printable(&location));
        Err(RegistryError::Protocol { url: url.to_owned(), what })
    }

    /// Brings a manifest or index there, under a tag or its digest. True if the registry takes note of its subject.
    pub fn write_manifest(
        &self,
        selector: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, RegistryError> {
        let url = self.url(&format!("manifests/{selector}"));
        let answer = self.call(&Method::PUT, &url, &[(header::CONTENT_TYPE, media_type)], Some(bytes))?;
        let answer = expect(&url, answer, StatusCode::CREATED)?;
        let expected = format!("sha256:{}", firmware::checksum::sha256(bytes));
        match text(answer.headers(), &DIGEST).filter(|actual| *actual != expected) {
            Some(actual) => Err(RegistryError::Digest { url, actual: printable(&actual), expected }),
            None => Ok(answer.headers().contains_key(SUBJECT)),
        }
    }
}

impl Fetched {
    /// What refers to it.
    pub fn descriptor(&self) -> oci::Descriptor {
        oci::Descriptor::new(&self.media_type, self.digest.clone(), self.bytes.len() as u64)
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
