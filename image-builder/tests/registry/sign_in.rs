//! Credentials: found where other tools leave them, sent to nobody else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::server::{Reply, Request, Server};
use crate::{command, complaint, directory, output};

/// `user:secret`
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn authorized(request: &Request, wanted: &str) -> bool {
    request.headers.get("authorization").is_some_and(|given| given == wanted)
}

fn challenge(text: String) -> Reply {
    Reply::Answer(401, vec![("WWW-Authenticate".to_owned(), text)], Vec::new())
}

/// A registry that wants a password.
fn basic() -> Server {
    Server::start(true, |request| {
        (!authorized(request, BASIC)).then(|| challenge("Basic realm=\"x\"".to_owned()))
    })
}

fn auth_file(path: &Path, key: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, json!({ "auths": { key: { "auth": "dXNlcjpzZWNyZXQ=" } } }).to_string())
        .expect("written");
}

fn push(path: &Path, server: &Server, variables: &[(&str, &Path)]) -> Result<(), String> {
    let mut push = command(path, &["push", "a.tar", &server.name(), "--plain-http"]);
    push.envs(variables.iter().copied());
    let output = output(push);
    if output.status.success() { Ok(()) } else { Err(complaint(&output)) }
}

#[test]
fn passwords_come_from_the_files_of_docker_and_podman() {
    let server = basic();
    for place in [".docker/config.json", ".config/containers/auth.json"] {
        let directory = directory(&[]);
        auth_file(&directory.path().join(place), &server.host);
        assert_eq!(push(directory.path(), &server, &[]), Ok(()), "{place}");
    }
    for (variable, value, file) in [
        ("REGISTRY_AUTH_FILE", "x.json", "x.json"),
        ("DOCKER_CONFIG", "d", "d/config.json"),
        ("XDG_RUNTIME_DIR", "r", "r/containers/auth.json"),
    ] {
        let directory = directory(&[]);
        let path = directory.path();
        // For one repository alone.
        auth_file(&path.join(file), &format!("{}/demo", server.host));
        assert_eq!(push(path, &server, &[(variable, &path.join(value))]), Ok(()), "{variable}");
    }
}

#[test]
fn a_helper_is_asked() {
    let (directory, server) = (directory(&[]), basic());
    let path = directory.path();
    let helper = path.join("docker-credential-test");
    let script = "#!/bin/sh\nread host\n[ \"$host\" = \"$HOST\" ] || { echo credentials not found; exit 1; }\n\
                  echo '{\"Username\":\"user\",\"Secret\":\"secret\"}'\n";
    fs::write(&helper, script.replace("$HOST", &server.host)).expect("written");
    fs::set_permissions(&helper, Permissions::from_mode(0o755)).expect("set");
    fs::create_dir(path.join(".docker")).expect("made");
    fs::write(path.join(".docker/config.json"), r#"{"credsStore":"test"}"#).expect("written");
    assert_eq!(push(path, &server, &[]), Ok(()));
}

#[test]
fn without_credentials_it_says_so() {
    let (directory, server) = (directory(&[]), basic());
    let path = directory.path();
    let wants = "the registry wants Basic authentication, and no auth file has credentials for it";
    assert!(push(path, &server, &[]).expect_err("no credentials").ends_with(wants));
    let missing =
        push(path, &server, &[("REGISTRY_AUTH_FILE", Path::new("/none.json"))]).expect_err("no file");
    let why = format!(
        "credentials for {}: cannot read /none.json: No such file or directory (os error 2)",
        server.host
    );
    assert!(missing.ends_with(&why), "{missing}");
    fs::write(path.join("broken"), "{").expect("written");
    let broken = push(path, &server, &[("REGISTRY_AUTH_FILE", &path.join("broken"))]).expect_err("no JSON");
    assert!(broken.ends_with("it is not a valid auth file"), "{broken}");
}

#[test]
fn a_token_is_fetched_and_used() {
    let directory = directory(&[]);
    let path = directory.path();
    let tokens = Server::start(true, |request| {
        let scoped =
            request.path.contains("scope=repository:demo/hello:pull") && request.path.contains("service=reg");
        let good = authorized(request, BASIC) && scoped;
        Some(if good {
            Reply::Answer(200, Vec::new(), br#"{"token":"abc"}"#.to_vec())
        } else {
            Reply::status(401)
        })
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"reg\"", tokens.host);
    let server = Server::start(true, move |request| {
        (!authorized(request, "Bearer abc")).then(|| challenge(realm.clone()))
    });
    let refused = push(path, &server, &[]).expect_err("no credentials");
    assert!(refused.contains("/token: the registry answers 401"), "{refused}");
    auth_file(&path.join(".docker/config.json"), &server.host);
    assert_eq!(push(path, &server, &[]), Ok(()));
    assert!(tokens.store().log.iter().all(|line| line.starts_with("GET /token?service=reg&scope=")));
}

#[test]
fn nobody_else_learns_the_password() {
    let directory = directory(&[]);
    let path = directory.path();
    // The registry keeps its layers elsewhere.
    let elsewhere = Server::start(true, |request| {
        request.headers.contains_key("authorization").then(|| Reply::status(500))
    });
    let location = format!("http://{}", elsewhere.host);
    let server = Server::start(true, move |request| {
        if !authorized(request, BASIC) {
            return Some(challenge("Basic realm=\"x\"".to_owned()));
        }
        let away = request.method == "GET" && request.path.contains("/blobs/");
        away.then(|| {
            Reply::Answer(
                307,
                vec![("Location".to_owned(), format!("{location}{}", request.path))],
                Vec::new(),
            )
        })
    });
    auth_file(&path.join(".docker/config.json"), &server.host);
    push(path, &server, &[]).expect("pushed");
    let blobs = server.store().blobs.clone();
    elsewhere.store().blobs = blobs;
    let pulled = output(command(path, &["pull", &server.name(), "--plain-http", "--output", "b.tar"]));
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    assert!(elsewhere.count("GET /v2/demo/hello/blobs/") >= 2);
}
