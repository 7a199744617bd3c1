//! Signing in: the registry says how (RFC 9110 `WWW-Authenticate`), with a password or through a server that gives out
//! tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::{HeaderMap, Method, StatusCode, header};

use super::credentials::{self, Credential};
use super::{Payload, Registry, RegistryError, expect, whole};
use crate::text::printable;

/// Longest answer of a server of tokens.
const MAX_TOKEN: u64 = 256 << 10;

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The answer of a server of tokens, by either of two specifications.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// Does what the headers of an answer 401 ask for. `writes` if something is to be changed.
    pub(super) fn sign_in(&self, url: &str, headers: &HeaderMap, writes: bool) -> Result<(), RegistryError> {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).into_iter();
        let said: Vec<&str> = challenges.filter_map(|value| value.to_str().ok()).collect();
        let unknown = || RegistryError::Unauthorized {
            url: url.to_owned(),
            scheme: said
                .first()
                .map_or("an unknown", |said| said.split(' ').next().unwrap_or_default())
                .to_owned(),
            known: "only Basic and Bearer are known",
        };
        let challenge = said.iter().find_map(|said| Challenge::parse(said)).ok_or_else(unknown)?;
        let credential = credentials::find(&self.remote)?;
        let header = match challenge {
            Challenge::Basic => basic(credential.as_ref()).ok_or_else(|| RegistryError::Unauthorized {
                url: url.to_owned(),
                scheme: "Basic".to_owned(),
                known: "and no auth file has credentials for it",
            })?,
            Challenge::Bearer { realm, service, scope } => {
                let all = if writes { "pull,push" } else { "pull" };
                let scope = scope.unwrap_or_else(|| format!("repository:{}:{all}", self.remote.path()));
                let query = query(&[("service", service.as_deref()), ("scope", Some(&scope))]);
                format!("Bearer {}", self.token(&realm, &query, credential.as_ref())?)
            }
        };
        *self.authorization.borrow_mut() = Some(header);
        Ok(())
    }

    fn token(
        &self,
        realm: &str,
        query: &str,
        credential: Option<&Credential>,
    ) -> Result<String, RegistryError> {
        let form = |token: &str| {
            let more = [("grant_type", Some("refresh_token")), ("client_id", Some("micrun-image-builder"))];
            format!("{query}&{}&{}", self::query(&more), self::query(&[("refresh_token", Some(token))]))
        };
        let secret = basic(credential);
        let headers = secret.as_deref().map(|secret| (header::AUTHORIZATION, secret));
        let headers: Vec<_> = headers.into_iter().collect();
        // Never with what the registry itself was told: the server may be another's.
        self.authorization.borrow_mut().take();
        let answer = match credential {
            Some(Credential::Token(token)) => {
                let headers = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
                self.send(&Method::POST, realm, &headers, Payload::Bytes(form(token).as_bytes()))?
            }
            _ => {
                let separator = if realm.contains('?') { '&' } else { '?' };
                self.send(&Method::GET, &format!("{realm}{separator}{query}"), &headers, Payload::None)?
            }
        };
        let answer = whole(realm, expect(realm, answer, StatusCode::OK)?, MAX_TOKEN)?;
        let token: Option<Token> = serde_json::from_slice(&answer).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        let usable =
            token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        usable.ok_or_else(|| RegistryError::Protocol {
            url: printable(realm),
            what: "the answer has no token".to_owned(),
        })
    }
}

fn basic(credential: Option<&Credential>) -> Option<String> {
    match credential? {
        Credential::Password(user, password) => {
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
        Credential::Token(_) => None,
    }
}

fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let set = pairs.iter().filter_map(|(key, value)| Some(format!("{key}={}", encoded((*value)?))));
    set.collect::<Vec<_>>().join("&")
}

/// Everything but letters, digits and what is harmless in a query, by percent signs.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

impl Challenge {
    fn parse(text: &str) -> Option<Challenge> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let get = |key: &str| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        Some(Challenge::Bearer { realm: get("realm")?, service: get("service"), scope: get("scope") })
    }
}

/// `key="value"` or `key=value`, with commas between them.
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((key, after)) = rest.split_once('=') {
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (value, tail) = after.split_at(end);
                (value.trim().to_owned(), tail)
            }
        };
        found.push((key.trim_matches([' ', ',']).to_owned(), value));
        rest = tail;
    }
    found
}

/// The text up to the closing quote, and what follows that.
fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => {
                value.push(char);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
            Some(Challenge::Bearer { realm: realm.to_owned(), service, scope })
        };
        let full = r#"Bearer realm="https://a/t",service="a b",scope="repository:x:pull,push""#;
        assert_eq!(
            Challenge::parse(full),
            bearer("https://a/t", Some("a b"), Some("repository:x:pull,push"))
        );
        assert_eq!(Challenge::parse(r"bearer Realm=https://a, x=y"), bearer("https://a", None, None));
        assert_eq!(Challenge::parse(r#"Bearer realm="a\"b"#), bearer("a\"b", None, None));
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), Some(Challenge::Basic));
        for other in ["", "Digest realm=x", "Bearer", "Bearer service=x", "Bearer realm="] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        let pairs = [("service", Some("a b&c")), ("none", None), ("scope", Some("repository:x/y:pull,push"))];
        assert_eq!(query(&pairs), "service=a%20b%26c&scope=repository:x/y:pull,push");
    }
}
