//! The name of an image, in the one form that means the same to `ctr`, Docker and Kubernetes: with host and
//! tag.
//!
//! Without them each tool would add its own: `hello` is `hello` to `ctr`, `docker.io/library/hello:latest` to
//! Kubernetes.

use std::fmt;
use std::str::FromStr;

/// Most bytes of a name without its tag (distribution specification).
const MAX_NAME_LEN: usize = 255;
/// Most bytes of a tag (distribution specification).
const MAX_TAG_LEN: usize = 128;

/// A full name such as `localhost/hello:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(String);

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No registry in front.
    #[error("image name {0:?} has no host, write it as localhost/hello:1")]
    Host(String),
    /// No tag at the end, or a malformed one.
    #[error("image name {0:?} has no valid tag, write it as localhost/hello:1")]
    Tag(String),
    /// The part in between.
    #[error("image name {0:?}: {1:?} is not a valid path, it must be of a-z 0-9 with . _ - in between")]
    Path(String, String),
    /// Too long.
    #[error("image name is {0} bytes long without its tag, at most {MAX_NAME_LEN} are allowed")]
    TooLong(usize),
}

impl Reference {
    /// The last part of the path: `hello` of `localhost/demo/hello:1`.
    pub fn base(&self) -> &str {
        let name = self.0.rsplit_once(':').map_or(self.0.as_str(), |(name, _)| name);
        name.rsplit_once('/').map_or(name, |(_, base)| base)
    }

    /// The registry: what is before the first slash.
    pub fn host(&self) -> &str {
        self.0.split_once('/').map_or("", |(host, _)| host)
    }

    /// What is between host and tag.
    pub fn path(&self) -> &str {
        let rest = self.0.split_once('/').map_or("", |(_, rest)| rest);
        rest.rsplit_once(':').map_or(rest, |(path, _)| path)
    }

    /// What is after the last colon.
    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, tag)| tag)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        let (host, rest) = text.split_once('/').ok_or_else(|| ReferenceError::Host(text.to_owned()))?;
        if !is_host(host) {
            return Err(ReferenceError::Host(text.to_owned()));
        }
        let tagged = rest.rsplit_once(':').filter(|(_, tag)| is_tag(tag));
        let (path, tag) = tagged.ok_or_else(|| ReferenceError::Tag(text.to_owned()))?;
        if let Some(part) = path.split('/').find(|part| !is_path_component(part)) {
            return Err(ReferenceError::Path(text.to_owned(), part.to_owned()));
        }
        let name_len = text.len().saturating_sub(tag.len() + 1);
        if name_len > MAX_NAME_LEN {
            return Err(ReferenceError::TooLong(name_len));
        }
        Ok(Reference(text.to_owned()))
    }
}

/// Docker's rule: what has a dot or a port, or is `localhost`, is a host and not a part of the path.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let port_is_number = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
    let is_host = name == "localhost" || name.contains('.') || port.is_some();
    is_host && name.split('.').all(label) && port.is_none_or(port_is_number)
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(word);
    first && tag.len() <= MAX_TAG_LEN && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

/// Runs of a-z 0-9, between them one dot, one or two underscores, or any number of hyphens.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let separators: Vec<&str> = part.split(alphanumeric).filter(|separator| !separator.is_empty()).collect();
    let valid = |separator: &&str| {
        matches!(*separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    };
    part.starts_with(alphanumeric) && part.ends_with(alphanumeric) && separators.iter().all(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_accepted() {
        for (text, base) in [
            ("localhost/hello:1", "hello"),
            ("localhost:5000/demo/hello-2:v1.0", "hello-2"),
            ("registry.example.org/a__b/c.d:_x", "c.d"),
        ] {
            let reference: Reference = text.parse().expect("valid");
            assert_eq!((reference.base(), reference.as_str()), (base, text));
        }
    }

    #[test]
    fn other_names_are_refused() {
        let error = |text: &str| text.parse::<Reference>().expect_err("invalid").to_string();
        let form = "write it as localhost/hello:1";
        for text in
            ["hello", "hello:1", "library/hello:1", "-a.b/hello:1", "a..b/c:1", "a.b:port/c:1", "/hello:1"]
        {
            assert_eq!(error(text), format!("image name {text:?} has no host, {form}"));
        }
        for text in ["localhost/hello", "localhost/hello:", "localhost/hello:-1", "localhost/hello:a/b"] {
            assert_eq!(error(text), format!("image name {text:?} has no valid tag, {form}"));
        }
        for (text, part) in [
            ("localhost/Hello:1", "Hello"),
            ("localhost/a..b:1", "a..b"),
            ("localhost/a/:1", ""),
            ("localhost/a@sha256:1", "a@sha256"),
            ("localhost/___:1", "___"),
            ("localhost/a/../b:1", ".."),
        ] {
            let rule = "is not a valid path, it must be of a-z 0-9 with . _ - in between";
            assert_eq!(error(text), format!("image name {text:?}: {part:?} {rule}"));
        }
        let long = format!("localhost/{}:1", "a".repeat(246));
        assert_eq!(error(&long), "image name is 256 bytes long without its tag, at most 255 are allowed");
        assert!(error(&format!("localhost/a:{}", "1".repeat(129))).ends_with(form));
    }
}
