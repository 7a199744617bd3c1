//! What can go wrong with a registry.

use std::io;

use serde::Deserialize;
use ureq::http::StatusCode;

use super::MAX_REDIRECTS;
use crate::text::printable;

/// Most characters of a registry's own words that a message repeats.
const MAX_WORDS: usize = 200;

/// A registry does not do what it is asked for. Messages begin with the address that was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer, or a broken one.
    #[error("{url}: {source}")]
    Http {
        /// What was asked.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// It stopped saying anything.
    #[error("{0}: the registry does not answer in time (--timeout)")]
    Timeout(String),
    /// It sends us around.
    #[error("{0}: more than {MAX_REDIRECTS} redirects")]
    Redirects(String),
    /// It wants to go on without TLS, or was never asked with it.
    #[error("{0}: this goes on without TLS, which takes --plain-http")]
    Plain(String),
    /// It says no.
    #[error("{url}: the registry answers {status}{words}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: StatusCode,
        /// The registry's own words, after a colon, or nothing.
        words: String,
    },
    /// It sends more than it should.
    #[error("{url}: the answer is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// The most that is allowed.
        limit: u64,
    },
    /// It ends too early.
    #[error("{url}: the answer ends after {len} of {expected} bytes")]
    Short {
        /// What was asked.
        url: String,
        /// What came.
        len: u64,
        /// What should have come.
        expected: u64,
    },
    /// It sends something else.
    #[error("{url}: the answer has the digest {actual}, it must be {expected}")]
    Digest {
        /// What was asked.
        url: String,
        /// That of what came.
        actual: String,
        /// That of what should have come.
        expected: String,
    },
    /// It does not keep to the protocol.
    #[error("{url}: the registry does not keep to the protocol: {what}")]
    Protocol {
        /// What was asked.
        url: String,
        /// What it does.
        what: String,
    },
    /// It wants to know who asks, and that is not known, or not enough.
    #[error("{url}: the registry wants {scheme} authentication, {known}")]
    Unauthorized {
        /// What was asked.
        url: String,
        /// How.
        scheme: String,
        /// What is known.
        known: &'static str,
    },
    /// Credentials cannot be read.
    #[error("credentials for {host}: {why}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        why: String,
    },
    /// What comes cannot be kept.
    #[error("cannot write the archive: {0}")]
    Write(#[from] io::Error),
}

#[derive(Deserialize)]
struct Complaint {
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl RegistryError {
    pub(super) fn http(url: &str, source: ureq::Error) -> RegistryError {
        let url = url.to_owned();
        match source {
            ureq::Error::Timeout(_) => RegistryError::Timeout(url),
            ureq::Error::TooManyRedirects => RegistryError::Redirects(url),
            ureq::Error::RequireHttpsOnly(_) => RegistryError::Plain(url),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => RegistryError::Timeout(url),
            source => RegistryError::Http { url, source: Box::new(source) },
        }
    }

    /// The same for bytes of an answer that are being read.
    pub(super) fn reading(url: &str, error: io::Error) -> RegistryError {
        RegistryError::http(url, ureq::Error::from(error))
    }

    pub(super) fn refused(url: &str, status: StatusCode, complaint: &[u8]) -> RegistryError {
        let said = serde_json::from_slice::<Complaint>(complaint).ok();
        let first = said.and_then(|said| said.errors.into_iter().next());
        let words = first.map(|detail| printable(&format!(": {} {}", detail.code, detail.message)));
        let words = words.unwrap_or_default().chars().take(MAX_WORDS).collect::<String>();
        RegistryError::Refused { url: url.to_owned(), status, words: words.trim_end().to_owned() }
    }

    /// True if it may go better in a moment. What was silent for long is not waited for again.
    pub fn is_passing(&self) -> bool {
        match self {
            RegistryError::Http { source, .. } => {
                matches!(
                    **source,
                    ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_)
                )
            }
            RegistryError::Refused { status, .. } => super::is_passing(*status),
            RegistryError::Short { .. } | RegistryError::Digest { .. } => true,
            _ => false,
        }
    }
}
