//! Credentials from where Docker, Podman, Buildah and Skopeo leave them.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use super::RegistryError;
use crate::remote::Remote;

/// Longest file that is read.
const MAX_LEN: u64 = 1 << 20;

/// Under which Docker's tools keep what they sign in to `docker.io` with.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// How somebody signs in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// User and password.
    Password(String, String),
    /// A token that others are given out for.
    Token(String),
}

/// The credentials for a repository; `None` if there are none.
pub(super) fn find(remote: &Remote) -> Result<Option<Credential>, RegistryError> {
    let failed = |why: String| RegistryError::Credentials { host: remote.registry().to_owned(), why };
    for (path, must_exist) in files() {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
            Err(error) => return Err(failed(format!("cannot read {}: {error}", path.display()))),
        };
        let mut text = Vec::new();
        let read = file.take(MAX_LEN).read_to_end(&mut text);
        read.map_err(|error| failed(format!("cannot read {}: {error}", path.display())))?;
        for key in keys(remote) {
            match get_credential_from_reader(text.as_slice(), &key) {
                Ok(credential) => return Ok(Some(credential.into())),
                Err(error) if is_none(&error) => {}
                Err(error) => return Err(failed(format!("{}: {}", path.display(), words(&error)))),
            }
        }
    }
    Ok(None)
}

/// Files that may have them, and whether they must be there.
fn files() -> Vec<(PathBuf, bool)> {
    if let Some(named) = variable("REGISTRY_AUTH_FILE") {
        return vec![(named.into(), true)];
    }
    let below = |directory: Option<OsString>, rest: &str| Some((PathBuf::from(directory?).join(rest), false));
    let home = |rest: &str| variable("HOME").map(|home| PathBuf::from(home).join(rest).into_os_string());
    let files = [
        below(variable("XDG_RUNTIME_DIR"), "containers/auth.json"),
        below(variable("XDG_CONFIG_HOME").or(home(".config")), "containers/auth.json"),
        below(variable("DOCKER_CONFIG").or(home(".docker")), "config.json"),
    ];
    files.into_iter().flatten().collect()
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// What the file may have them under: the repository, what is above it, the registry.
fn keys(remote: &Remote) -> Vec<String> {
    let full = format!("{}/{}", remote.registry(), remote.path());
    let ends = full.match_indices('/').map(|(at, _)| at).chain([full.len()]);
    let mut keys: Vec<String> = ends.filter_map(|end| full.get(..end)).map(str::to_owned).collect();
    keys.reverse();
    keys.extend(remote.is_in_hub().then(|| HUB_KEY.to_owned()));
    keys
}

/// True if the file, or the helper that it names, just does not know any.
fn is_none(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, .. } => stdout.contains("credentials not found"),
        _ => false,
    }
}

/// On one line, without what a helper may have said of secrets.
fn words(error: &CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("{helper} failed"),
        CredentialRetrievalError::ConfigReadError => "it is not a valid auth file".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

impl From<DockerCredential> for Credential {
    fn from(credential: DockerCredential) -> Credential {
        match credential {
            DockerCredential::IdentityToken(token) => Credential::Token(token),
            DockerCredential::UsernamePassword(user, password) => Credential::Password(user, password),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearest_to_the_repository_comes_first() {
        let keys = |name: &str| keys(&name.parse().expect("a name"));
        assert_eq!(
            keys("r.example:5000/a/b:1"),
            ["r.example:5000/a/b", "r.example:5000/a", "r.example:5000"]
        );
        let hub = ["docker.io/library/b", "docker.io/library", "docker.io", HUB_KEY];
        assert_eq!(keys("docker.io/b:1"), hub);
        let file = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpzZWNyZXQ="}}}"#;
        let found = get_credential_from_reader(file.as_bytes(), HUB_KEY).expect("credentials");
        let expected = Credential::Password("user".to_owned(), "secret".to_owned());
        assert_eq!(Credential::from(found), expected);
    }
}
