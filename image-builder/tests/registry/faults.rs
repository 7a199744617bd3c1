//! Registries that do not keep to the protocol: each costs one line, and nothing else.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::server::{Reply, Request, Server, digest};
use crate::{command, directory, done, output, push, refused};

fn is_manifest(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/manifests/1")
}

/// The layer: the only blob that is longer than a kilobyte and no document.
fn is_layer(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/blobs/")
}

/// What `pull` says of a registry with an image and this fault; an older archive is as it was.
fn pull(fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> (String, Server) {
    let directory = directory(&[]);
    let (path, server) = (directory.path(), Server::start(true, fault));
    push(path, &server);
    fs::write(path.join("b.tar"), "old").expect("written");
    let line =
        refused(path, &["pull", &server.name(), "--plain-http", "--output", "b.tar", "--timeout", "1"]);
    assert_eq!(fs::read(path.join("b.tar")).expect("readable"), b"old");
    let left: Vec<_> =
        fs::read_dir(path).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    let line = line.strip_prefix("cannot pull: ").expect("what failed").to_owned();
    (line.replace(&format!("http://{}/v2/demo/hello/", server.host), ""), server)
}

#[test]
fn silence_has_an_end() {
    let begun = Instant::now();
    let silent = "the registry does not answer in time (--timeout)";
    let (line, _) = pull(|request| is_manifest(request).then_some(Reply::Silence));
    assert_eq!(line, format!("manifests/1: {silent}"));
    // In the middle of a layer.
    let torn = || Reply::Torn { said: 100_000, body: vec![0; 100], silent: true };
    let (line, _) = pull(move |request| is_layer(request).then(torn));
    assert!(line.starts_with("blobs/sha256:") && line.ends_with(silent), "{line}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn torn_answers_are_tried_again_three_times() {
    let torn = || Reply::Torn { said: 100_000, body: vec![b'x'; 10], silent: false };
    let (line, server) = pull(move |request| is_layer(request).then(torn));
    assert!(line.starts_with("blobs/sha256:"), "{line}");
    assert_eq!(server.count("GET /v2/demo/hello/blobs/"), 3);
}

#[test]
fn a_registry_that_is_ill_for_a_moment_is_asked_again() {
    let directory = directory(&[]);
    let (path, ill) = (directory.path(), AtomicUsize::new(2));
    let server = Server::start(true, move |request| {
        let now = request.method == "GET"
            && ill.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        now.then(|| Reply::status(503))
    });
    push(path, &server);
    done(path, &["pull", &server.name(), "--plain-http", "--output", "b.tar"]);
    assert_eq!(server.count("GET /v2/demo/hello/manifests/1"), 3);
}

#[test]
fn a_registry_that_stays_ill_is_given_up() {
    let (line, server) = pull(|request| is_manifest(request).then(|| Reply::status(503)));
    assert!(line.starts_with("manifests/1: the registry answers 503"), "{line}");
    assert_eq!(server.count("GET /v2/demo/hello/manifests/1"), 3);
}

#[test]
fn other_bytes_are_refused() {
    let lie = br#"{"schemaVersion":2}"#;
    let header = ("Docker-Content-Digest".to_owned(), digest(b"other"));
    let (line, _) = pull(move |request| {
        is_manifest(request).then(|| Reply::Answer(200, vec![header.clone()], lie.to_vec()))
    });
    assert_eq!(
        line,
        format!("manifests/1: the answer has the digest {}, it must be {}", digest(lie), digest(b"other"))
    );
    let (line, server) =
        pull(|request| is_layer(request).then(|| Reply::Answer(200, Vec::new(), vec![b'x'; 10])));
    assert!(line.contains(": the answer ends after 10 of "), "{line}");
    assert_eq!(server.count("GET /v2/demo/hello/blobs/"), 3);
}

#[test]
fn answers_without_an_end_are_cut() {
    let (line, _) = pull(|request| is_manifest(request).then_some(Reply::Endless));
    assert_eq!(line, "manifests/1: the answer is longer than 4194304 bytes");
    let (line, _) = pull(|request| is_layer(request).then_some(Reply::Endless));
    assert!(line.starts_with("blobs/sha256:") && line.contains("the answer is longer than "), "{line}");
    // So is what it says when it refuses.
    let long = || Reply::Answer(400, Vec::new(), vec![b'x'; 10 << 20]);
    let (line, _) = pull(move |request| is_manifest(request).then(long));
    assert!(line.starts_with("manifests/1: the registry answers 400"), "{line}");
}

#[test]
fn redirects_do_not_go_round_and_round() {
    let round = |request: &Request| {
        let location = ("Location".to_owned(), request.path.clone());
        is_manifest(request).then(|| Reply::Answer(307, vec![location], Vec::new()))
    };
    let (line, server) = pull(round);
    assert_eq!(line, "manifests/1: more than 5 redirects");
    assert!(server.count("GET /v2/demo/hello/manifests/1") <= 6);
}

#[test]
fn documents_that_are_none_are_named() {
    let (line, _) =
        pull(|request| is_manifest(request).then(|| Reply::Answer(200, Vec::new(), b"<html>".to_vec())));
    assert_eq!(
        line,
        format!("{} is not a valid manifest: expected value at line 1 column 1", digest(b"<html>"))
    );
}

#[test]
fn tls_is_not_given_up_unasked() {
    let directory = directory(&[]);
    let server = Server::start(true, |_| None);
    let line = refused(directory.path(), &["push", "a.tar", &server.name(), "--timeout", "2"]);
    assert!(line.starts_with(&format!("cannot push a.tar: https://{}/", server.host)), "{line}");
    assert!(server.store().blobs.is_empty());
}

#[test]
fn a_push_that_is_refused_says_why() {
    let directory = directory(&[]);
    let server = Server::start(true, |request| {
        let denied = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J room"}]}"#;
        (request.method == "POST").then(|| Reply::Answer(403, Vec::new(), denied.to_vec()))
    });
    let line = refused(directory.path(), &["push", "a.tar", &server.name(), "--plain-http"]);
    assert!(line.ends_with("the registry answers 403 Forbidden: DENIED no\\u{1b}[2J room"), "{line}");
    // Nobody is there at all.
    let args = ["push", "a.tar", "127.0.0.1:1/demo/hello:1", "--plain-http"];
    assert!(refused(directory.path(), &args).contains("http://127.0.0.1:1/v2/demo/hello/blobs/"));
}

#[test]
fn a_push_to_a_registry_that_hangs_or_is_ill_has_an_end() {
    let directory = directory(&[]);
    let said = |server: &Server| {
        let args = ["push", "a.tar", &server.name(), "--plain-http", "--timeout", "1"];
        refused(directory.path(), &args)
    };
    let is_upload = |request: &Request| request.method == "PUT" && request.path.contains("/blobs/");
    let silent = Server::start(true, move |request| is_upload(request).then_some(Reply::Silence));
    let line = said(&silent);
    assert!(line.ends_with("the registry does not answer in time (--timeout)"), "{line}");
    let ill = Server::start(true, move |request| is_upload(request).then(|| Reply::status(502)));
    let line = said(&ill);
    assert!(line.contains("the registry answers 502"), "{line}");
    assert_eq!(ill.count("PUT /v2/demo/hello/blobs/"), 3);
    for server in [silent, ill] {
        assert!(server.store().manifests.is_empty(), "an image without its blobs has no name");
    }
}

#[test]
fn a_torn_archive_is_not_pushed() {
    let directory = directory(&[]);
    let (path, server) = (directory.path(), Server::start(true, |_| None));
    let mut bytes = fs::read(path.join("a.tar")).expect("readable");
    let at = bytes.windows(4).position(|window| window == b"\x7fELF").expect("the firmware");
    bytes[at + 200] ^= 1;
    fs::write(path.join("a.tar"), bytes).expect("written");
    let line = refused(path, &["push", "a.tar", &server.name(), "--plain-http"]);
    assert!(line.contains("it was changed or torn"), "{line}");
    assert_eq!(server.store().log.len(), 0);
    let usage = output(command(path, &["push", "a.tar", "no-host", "--plain-http"]));
    assert_eq!(usage.status.code(), Some(2));
}
