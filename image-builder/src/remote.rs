//! The name of an image in a registry: host, repository, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::blobs::{BlobError, blob_path};
use crate::reference::{Reference, ReferenceError};

/// The registry that Docker's tools take when a name has none is asked under another name than the one in names.
const HUB: &str = "docker.io";
const HUB_ALIAS: &str = "index.docker.io";
const HUB_HOST: &str = "registry-1.docker.io";
/// Where it has what is nobody's in particular.
const HUB_LIBRARY: &str = "library";

/// A name such as `registry.example.org/demo/hello:1` or `…/hello@sha256:…`; with both a tag and a digest the digest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    text: String,
    registry: String,
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
    /// The registry, with its port if it has one, as names and auth files call it.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Where the registry is.
    pub fn host(&self) -> &str {
        if self.is_in_hub() { HUB_HOST } else { &self.registry }
    }

    /// True if the registry is the one that Docker's tools take by themselves.
    pub fn is_in_hub(&self) -> bool {
        self.registry == HUB
    }

    /// The repository, in full.
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
        let [mut registry, mut path, selector] = parts;
        if registry == HUB || registry == HUB_ALIAS {
            registry = HUB.to_owned();
            if !path.contains('/') {
                path = format!("{HUB_LIBRARY}/{path}");
            }
        }
        Remote { text: reference.as_str().to_owned(), registry, path, selector }
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
    fn names_of_the_hub_are_asked_for_where_it_is() {
        let asked = |text: &str| {
            let remote: Remote = text.parse().expect("valid");
            assert_eq!((remote.as_str(), remote.registry(), remote.is_in_hub()), (text, HUB, true));
            format!("{}/{}:{}", remote.host(), remote.path(), remote.selector())
        };
        assert_eq!(asked("docker.io/hello:1"), "registry-1.docker.io/library/hello:1");
        assert_eq!(asked("index.docker.io/hello:1"), "registry-1.docker.io/library/hello:1");
        assert_eq!(asked("docker.io/plant/hello:1"), "registry-1.docker.io/plant/hello:1");
        let other: Remote = "my.docker.io/hello:1".parse().expect("valid");
        assert_eq!((other.host(), other.path(), other.is_in_hub()), ("my.docker.io", "hello", false));
    }

    #[test]
    fn others_are_refused() {
        for text in ["a", "localhost/a", "localhost/a@sha256:1", "localhost/A@sha256:", "/a:1", ""] {
            assert!(text.parse::<Remote>().is_err(), "{text}");
        }
    }
}
