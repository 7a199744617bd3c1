//! `diff`: nothing where nothing changed, and each change once.

use std::fs;

use firmware::test_elf::{TestElf, minimal_table};
use serde_json::Value;
use tempfile::TempDir;

use crate::images::{bundle, ends};

/// The changes between two firmware files, as lines.
fn changes(old: &TestElf, new: &TestElf) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("old"), old.build()).expect("written");
    fs::write(directory.path().join("new"), new.build()).expect("written");
    let (out, err) = ends(directory.path(), &["diff", "old", "new"], 3);
    assert_eq!(err, "");
    // Size and digest of the file come with every change.
    let of_file = |line: &&str| line.contains("firmware sha-256: ") || line.contains("firmware size: ");
    out.lines().filter(|line| !of_file(line)).map(str::to_owned).collect()
}

fn two(old: &[&str], new: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    bundle(&directory, "old.tar", &TestElf::new(), old);
    bundle(&directory, "new.tar", &TestElf::new(), new);
    directory
}

#[test]
fn equal_images_have_no_differences() {
    let directory = two(&["--version", "1"], &["--version", "1"]);
    let (out, err) = ends(directory.path(), &["diff", "old.tar", "new.tar"], 0);
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
    let (out, _) = ends(directory.path(), &["diff", "old.tar", "new.tar", "--json"], 0);
    assert_eq!(out, "{\n  \"changes\": []\n}\n");
    // The firmware of an image is that of the file it was made of.
    ends(directory.path(), &["diff", "old.tar", "app.elf"], 0);
}

#[test]
fn labels_are_told_once() {
    let directory = two(&["--version", "1", "--title", "t"], &["--version", "2", "--licenses", "MIT"]);
    let (out, _) = ends(directory.path(), &["diff", "old.tar", "new.tar"], 3);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("changed  image digest: sha256:"), "{out}");
    let expected = [
        "added    label org.opencontainers.image.licenses: MIT",
        "removed  label org.opencontainers.image.title: t",
        "changed  label org.opencontainers.image.version: 1 -> 2",
    ];
    assert_eq!(lines[1..], expected);
}

#[test]
fn client_conf_is_compared_by_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let conf = "[Mica]\nName=hello\nClientPath=x\nCPU=2\nDebug=yes\n";
    fs::write(directory.path().join("c.conf"), conf).expect("written");
    bundle(&directory, "old.tar", &TestElf::new(), &[]);
    bundle(&directory, "new.tar", &TestElf::new(), &["--client-conf", "c.conf"]);
    let (out, _) = ends(directory.path(), &["diff", "old.tar", "new.tar", "--json"], 3);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let changes = report["changes"].as_array().expect("changes").iter();
    let of_conf: Vec<&Value> = changes.filter(|change| change["part"] == "client.conf").collect();
    let expected = serde_json::json!([
        {"part": "client.conf", "key": "CPU", "old": "3", "new": "2"},
        {"part": "client.conf", "key": "Debug", "old": null, "new": "yes"},
    ]);
    assert_eq!(serde_json::json!(of_conf), expected);
}

#[test]
fn segments_are_compared_by_address() {
    let firmware = || TestElf::new().segment(0x7a10_0000, b"abcdef");
    assert_eq!(
        changes(&firmware(), &TestElf::new().segment(0x7a10_0000, b"abXdeY")),
        ["changed  bytes of segment 0x7a100000: 2 of 6 bytes differ, the first difference is at 0x7a100002"]
    );
    assert_eq!(
        changes(&firmware(), &TestElf::new().raw_segment(0x7a10_0000, b"abcdef", 8, 6)),
        [
            "changed  segment 0x7a100000: code, 6 bytes, 6 of them from the file -> data, 8 bytes, 6 of them from \
             the file"
        ]
    );
    let longer = changes(&firmware(), &TestElf::new().segment(0x7a10_0000, b"abcdefg"));
    let first =
        "changed  bytes of segment 0x7a100000: 0 of 6 bytes differ, the first difference is at 0x7a100006";
    assert_eq!(longer.last().map(String::as_str), Some(first));
    assert_eq!(
        changes(&firmware(), &TestElf::new().segment(0x7a20_0000, b"abcdef")),
        [
            "removed  segment 0x7a100000: code, 6 bytes, 6 of them from the file",
            "added    segment 0x7a200000: code, 6 bytes, 6 of them from the file",
        ]
    );
}

#[test]
fn resource_tables_are_compared_by_entry() {
    let mut table = minimal_table();
    // Descriptors of vring 1.
    table[0x4c] = 16;
    let vdev = "vdev 7 (rpmsg): notify id 2, features 0x1 (name service), 0 bytes of configuration; vring 0: 8 \
                descriptors, alignment 4, notify id 0; vring 1:";
    let lines = changes(&TestElf::new(), &TestElf::new().resource_table(&table));
    let rest = "descriptors, alignment 4, notify id 1";
    let expected = format!("changed  resource table entry 0x14: {vdev} 8 {rest} -> {vdev} 16 {rest}");
    assert!(lines.contains(&expected), "{lines:#?}");
}

#[test]
fn services_and_refusals_are_compared() {
    let named = |name: &[u8]| TestElf::new().segment(0x7a10_0000, name);
    let lines = changes(&named(b"rpmsg-tty"), &named(b"rpmsg-umt"));
    assert_eq!(lines[1..], ["removed  service rpmsg-tty: named", "added    service rpmsg-umt: named"]);
    let lines = changes(&TestElf::new(), &TestElf::new().machine(40));
    let refused =
        "added    firmware refused: elf header: machine is 40 (32-bit arm), it must be 183 (aarch64)";
    assert!(lines.iter().any(|line| line == refused), "{lines:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = two(&[], &[]);
    let (out, err) = ends(directory.path(), &["diff", "old.tar", "none.tar"], 1);
    let line = "micrun-image-builder: cannot read none.tar: No such file or directory (os error 2)\n";
    assert_eq!((out.as_str(), err.as_str()), ("", line));
}
