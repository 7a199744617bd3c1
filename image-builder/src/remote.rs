//! The name of an image in a registry: host, repository, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::blobs::{BlobError, blob_path};
use crate::reference::{Reference, ReferenceError};

/// A name such as `registry.example.org/demo/hello:1` or `…/hello@sha256:…`; with both a tag and a digest the digest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    text: String,
    host: String,
    path: String,
    selector: String,
}

/// Why a name is refused.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is none.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// Its digest is none.
    #[error(transparent)]
    Digest(#[from] BlobError),
}

impl Remote {
    /// The registry, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag or the digest.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&Reference> for Remote {
    fn from(reference: &Reference) -> Remote {
        let parts = [reference.host(), reference.path(), reference.tag()].map(str::to_owned);
        let [host, path, selector] = parts;
        Remote { text: reference.as_str().to_owned(), host, path, selector }
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Remote, RemoteError> {
        let Some((name, digest)) = text.split_once('@') else {
            return Ok(Remote::from(&text.parse::<Reference>()?));
        };
        blob_path(digest)?;
        let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        // A tag that nobody sees.
        let name: Reference = if has_tag { name.parse()? } else { format!("{name}:x").parse()? };
        Ok(Remote { text: text.to_owned(), selector: digest.to_owned(), ..Remote::from(&name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_are_told_apart() {
        let parts = |text: &str| {
            let remote: Remote = text.parse().expect("valid");
            assert_eq!(remote.as_str(), text);
            (remote.host().to_owned(), remote.path().to_owned(), remote.selector().to_owned())
        };
        let expect = |host: &str, path: &str, selector: &str| (host.into(), path.into(), selector.into());
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(parts("localhost:5000/a/b:1"), expect("localhost:5000", "a/b", "1"));
        assert_eq!(parts(&format!("localhost/a@{digest}")), expect("localhost", "a", &digest));
        assert_eq!(parts(&format!("localhost:1/a:2@{digest}")), expect("localhost:1", "a", &digest));
    }

    #[test]
    fn others_are_refused() {
        for text in ["a", "localhost/a", "localhost/a@sha256:1", "localhost/A@sha256:", "/a:1", ""] {
            assert!(text.parse::<Remote>().is_err(), "{text}");
        }
    }
}
