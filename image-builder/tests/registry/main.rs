//! `push`, `pull`, and looking at what a registry has: with one that keeps to the protocol, and with some that do not.

mod faults;
mod server;
mod sign_in;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use firmware::test_elf::TestElf;
use serde_json::Value;
use tempfile::TempDir;

use server::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_micrun-image-builder");

/// The command, without any credentials of the machine.
fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(directory).args(args).env_clear();
    command.env("HOME", directory).env("PATH", format!("{}:/usr/bin:/bin", directory.display()));
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the builder runs")
}

/// Standard output of a run that succeeds.
fn done(directory: &Path, args: &[&str]) -> String {
    let output = output(command(directory, args));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The one line of a run that fails.
fn refused(directory: &Path, args: &[&str]) -> String {
    complaint(&output(command(directory, args)))
}

fn complaint(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    let line = text.strip_prefix("micrun-image-builder: ").and_then(|text| text.strip_suffix('\n'));
    line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("not one line: {text}")).to_owned()
}

/// A directory with `app.elf` and an image `a.tar` made of it.
fn directory(extra: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("app.elf"), TestElf::new().build()).expect("written");
    let args = ["bundle", "--firmware", "app.elf", "--board", "qemu-arm64", "--output", "a.tar"];
    done(
        directory.path(),
        &[&args[..], &["--name", "localhost/hello:1", "--platform", "linux/arm64"], extra].concat(),
    );
    directory
}

fn push(directory: &Path, server: &Server) -> String {
    done(directory, &["push", "a.tar", &server.name(), "--plain-http"])
}

/// What `inspect` says of two things, less the name of the image.
fn same(directory: &Path, one: &str, other: &str) -> bool {
    let report = |what: &str| {
        let text = done(directory, &["inspect", what, "--json", "--plain-http", "--platform", "linux/arm64"]);
        let mut report: Value = serde_json::from_str(&text).expect("JSON");
        report["image"]["name"].take();
        report
    };
    report(one) == report(other)
}

#[test]
fn an_image_goes_there_and_comes_back() {
    for layer in ["tar", "tar+gzip", "tar+zstd", "erofs"] {
        let directory = directory(&["--layer", layer]);
        let (path, server) = (directory.path(), Server::start(true, |_| None));
        let pushed = push(path, &server);
        let pulled = done(path, &["pull", &server.name(), "--plain-http", "--output", "b.tar"]);
        assert_eq!(pulled, pushed);
        assert!(same(path, "a.tar", "b.tar"));
        assert!(same(path, "a.tar", &server.name()));
        assert_eq!(done(path, &["diff", "b.tar", &server.name(), "--plain-http"]), "");
        // Nothing is sent twice.
        push(path, &server);
        assert_eq!(server.count("PUT /v2/demo/hello/blobs/"), 2, "{layer}");
        let by_digest =
            format!("{}/demo/hello@{}", server.host, pushed.trim_end().rsplit(' ').next().expect("a digest"));
        done(path, &["verify", &by_digest, "--plain-http", "--board", "qemu-arm64"]);
    }
}

#[test]
fn an_image_for_two_platforms_shares_its_layer() {
    let directory = directory(&["--platform", "linux/amd64"]);
    let (path, server) = (directory.path(), Server::start(true, |_| None));
    push(path, &server);
    // Two configurations, one layer.
    assert_eq!(server.store().blobs.len(), 3);
    done(path, &["pull", &server.name(), "--plain-http", "--output", "all.tar"]);
    assert!(same(path, "a.tar", "all.tar"));
    let one = ["pull", &server.name(), "--plain-http", "--output", "one.tar", "--platform", "linux/amd64"];
    done(path, &one);
    let report = done(path, &["inspect", "one.tar"]);
    assert!(report.contains("  platform    linux/amd64\n"), "{report}");
    server.store().manifests.remove("1");
    let missing = format!("cannot pull: {}: the registry has no such image", server.name());
    assert_eq!(refused(path, &one), missing);
}

#[test]
fn a_bill_of_materials_goes_along() {
    for lists in [true, false] {
        let directory = directory(&["--sbom", "--rtos", "zephyr", "--version", "3"]);
        let (path, server) = (directory.path(), Server::start(lists, |_| None));
        let pushed = push(path, &server);
        let digest = pushed.trim_end().rsplit(' ').next().expect("a digest");
        let tag = digest.replace(':', "-");
        assert_eq!(server.store().manifests.contains_key(&tag), !lists, "only where there is no list");
        let text = done(path, &["pull", &server.name(), "--plain-http", "--output", "b.tar", "--json"]);
        let report: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&report["digest"], &report["referrers"]), (&digest.into(), &1.into()));
        // From an archive that was pulled it goes on to the next registry, and once is enough.
        let next = Server::start(lists, |_| None);
        for _ in 0..2 {
            done(path, &["push", "b.tar", &next.name(), "--plain-http"]);
        }
        let bom = next
            .store()
            .blobs
            .values()
            .find_map(|blob| serde_json::from_slice::<Value>(blob).ok().filter(is_bom));
        let bom = bom.expect("a bill of materials");
        assert_eq!(bom["metadata"]["component"]["version"], "3");
        let kinds: Vec<&Value> =
            bom["components"].as_array().expect("some").iter().map(|one| &one["type"]).collect();
        assert_eq!(kinds, ["operating-system", "firmware", "file"]);
        if !lists {
            let index: Value = serde_json::from_slice(&next.store().manifests[&tag].1).expect("an index");
            assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1));
            assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.cyclonedx+json");
        }
    }
}

fn is_bom(document: &Value) -> bool {
    document["bomFormat"] == "CycloneDX"
}
