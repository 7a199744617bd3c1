//! `inspect`: what it says of its own images, of other people's, of firmware, and of hostile files.

use std::fs;

use firmware::test_elf::TestElf;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::images::{CONF, Layout, bundle, ends, foreign, gzip, tar};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// What `inspect` says of a file of these bytes.
fn inspected(bytes: &[u8], extra: &[&str], status: i32) -> (String, String) {
    let directory = directory();
    fs::write(directory.path().join("f"), bytes).expect("written");
    ends(directory.path(), &[&["inspect", "f"], extra].concat(), status)
}

fn json_of(bytes: &[u8], extra: &[&str]) -> Value {
    let (out, _) = inspected(bytes, &[&["--json"], extra].concat(), 0);
    serde_json::from_str(&out).expect("JSON")
}

/// The one line of complaint about a file.
fn refusal(bytes: &[u8], extra: &[&str]) -> String {
    let (out, err) = inspected(bytes, extra, 1);
    assert_eq!(out, "");
    let line = err.strip_prefix("micrun-image-builder: cannot read f: ").expect("the program's name");
    line.strip_suffix('\n').filter(|line| !line.contains('\n')).expect("one line").to_owned()
}

#[test]
fn an_image_of_our_own_is_shown_whole() {
    let directory = directory();
    let services = TestElf::new().segment(0x7a10_0000, b"rpmsg-tty\0");
    bundle(&directory, "a.tar", &services, &["--rtos", "test"]);
    let (out, err) = ends(directory.path(), &["inspect", "a.tar"], 0);
    assert_eq!(err, "");
    for part in [
        "image localhost/hello:1\n  digest      sha256:",
        "  platform    linux/arm64\n  entrypoint  /firmware.elf\n  layer       sha256:",
        "  org.openeuler.micrun.container.os = test\n",
        "annotations\n  the same\n",
        "firmware /firmware.elf\n  size     ",
        "  entry    0x7a000000\n\nsegments\n  0   0x7a000000  code, 4 bytes, 4 of them from the file\n",
        "resource table at 0x7a001000, 88 bytes\n  0x014  vdev 7 (rpmsg)",
        "services named in the loaded bytes\n  rpmsg-tty\n",
        "client.conf\n  Board=qemu-arm64\n  CPU=3\n  ClientPath=/firmware.elf\n  FirmwareCRC32=",
        "    0x70060000..0x70080000      128 KiB    window of cpu 3\n",
        "  rtos memory [##",
    ] {
        assert!(out.contains(part), "{part}\nis not in\n{out}");
    }
}

#[test]
fn machines_get_json() {
    let directory = directory();
    bundle(&directory, "a.tar", &TestElf::new(), &[]);
    let (out, _) = ends(directory.path(), &["inspect", "a.tar", "--json"], 0);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["image"]["name"], "localhost/hello:1");
    assert_eq!(report["firmware_path"], "/firmware.elf");
    assert_eq!(report["firmware"]["refused"], Value::Null);
    let labels = &report["image"]["labels"];
    assert_eq!(report["firmware"]["crc32"], labels["org.openeuler.micrun.container.firmware_crc32"]);
    assert_eq!(report["firmware"]["sha256"], labels["org.openeuler.micrun.container.firmware_hash"]);
    let contents = &report["firmware"]["contents"];
    assert_eq!(contents["segments"][1]["address"], "0x7a001000");
    let vdev = json!({
        "offset": 20, "type": "vdev", "id": 7, "notify_id": 2, "features": 1, "config_bytes": 0,
        "vrings": [
            {"descriptors": 8, "align": 4, "notify_id": 0},
            {"descriptors": 8, "align": 4, "notify_id": 1},
        ],
    });
    assert_eq!(contents["resource_table"]["entries"], json!([vdev]));
    assert_eq!(report["client_conf"]["keys"]["CPU"], "3");
    assert_eq!(report["memory_map"]["board"], "qemu-arm64");
    assert_eq!(report["memory_map"]["misfit"], Value::Null);
}

#[test]
fn firmware_is_shown_without_an_image() {
    let firmware = TestElf::new().build();
    let report = json_of(&firmware, &[]);
    assert_eq!((&report["image"], &report["memory_map"]), (&Value::Null, &Value::Null));
    assert_eq!(report["firmware"]["bytes"], firmware.len());
    let misfit = TestElf::new().segment(0x1000, b"low").build();
    let report = json_of(&misfit, &["--board", "qemu-arm64"]);
    let why = "segment 2 (0x1000..0x1003) lies outside the rtos memory (0x7a000000..0x7e000000) of board qemu-arm64";
    assert_eq!(report["memory_map"]["misfit"], why);
}

#[test]
fn firmware_that_the_shim_refuses_is_shown_with_the_reason() {
    let (out, _) = inspected(&TestElf::new().machine(40).build(), &[], 0);
    let why = "  refused  elf header: machine is 40 (32-bit arm), it must be 183 (aarch64)\n";
    assert!(out.ends_with(why), "{out}");
}

#[test]
fn images_of_others_are_shown() {
    let firmware = TestElf::new().build();
    let report = json_of(&foreign(&json!({"a": "b"}), &firmware).build(), &[]);
    assert_eq!(report["image"]["labels"], json!({"a": "b"}));
    assert_eq!(report["firmware_path"], "/x.elf");
    assert_eq!(report["firmware"]["bytes"], firmware.len());
    assert_eq!((&report["client_conf"], &report["image"]["name"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_higher_layer_replaces_the_firmware() {
    let (old, new) = (TestElf::new().build(), TestElf::new().segment(0x7a10_0000, b"new").build());
    let mut layout = Layout::default();
    let low: &[(&str, &[u8])] = &[("firmware.elf", &old), ("etc/mica/client.conf", CONF.as_bytes())];
    let manifest = layout.image("arm64", &json!({}), &[low, &[("./firmware.elf", &new)]]);
    layout.index.push(manifest);
    let report = json_of(&layout.build(), &[]);
    assert_eq!(report["firmware"]["bytes"], new.len());
    assert_eq!(report["client_conf"]["keys"]["Name"], "demo");
}

#[test]
fn of_several_platforms_one_is_taken() {
    let firmware = TestElf::new().build();
    let mut layout = Layout::default();
    let images: Vec<Value> = ["amd64", "arm64"]
        .iter()
        .map(|arch| layout.image(arch, &json!({"arch": arch}), &[&[("x.elf", &firmware)]]))
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": images}).to_string().into_bytes();
    let mut index = layout.blob("application/vnd.oci.image.index.v1+json", index);
    index["annotations"] = json!({"io.containerd.image.name": "localhost/two:1"});
    layout.index.push(index);
    let archive = layout.build();
    for arch in ["amd64", "arm64"] {
        let report = json_of(&archive, &["--platform", &format!("linux/{arch}")]);
        assert_eq!(
            (&report["image"]["labels"]["arch"], &report["image"]["name"]),
            (&json!(arch), &json!("localhost/two:1"))
        );
    }
    let one = foreign(&json!({}), &firmware).build();
    let has = "archive has no image for linux/amd64, it has \"\" for \"linux/arm64\"";
    assert_eq!(refusal(&one, &["--platform", "linux/amd64"]), has);
    let mut two = foreign(&json!({}), &firmware);
    two.index.extend(foreign(&json!({"a": "b"}), &firmware).index);
    two.files.extend(foreign(&json!({"a": "b"}), &firmware).files.split_off(1));
    let both = refusal(&two.build(), &["--platform", "linux/arm64"]);
    assert!(both.starts_with("archive has several images for linux/arm64, it has \"\""), "{both}");
}

#[test]
fn labels_do_not_reach_the_terminal_raw() {
    let layout = foreign(&json!({"a\u{1b}[2J": "b\u{202e}\nc"}), &TestElf::new().build());
    let (out, _) = inspected(&layout.build(), &[], 0);
    assert!(out.contains("  a\\u{1b}[2J = b\\u{202e}\\nc\n"), "{out}");
}

#[test]
fn what_is_no_archive_is_refused() {
    assert_eq!(refusal(b"", &[]), "archive has no file \"index.json\"");
    assert!(refusal(&[7; 2000], &[]).starts_with("not a readable tar file: "));
    let directory = directory();
    let (_, err) = ends(directory.path(), &["inspect", "."], 1);
    assert_eq!(err, "micrun-image-builder: cannot read .: it is not a regular file\n");
    let (_, err) = ends(directory.path(), &["inspect", "none"], 1);
    assert_eq!(err, "micrun-image-builder: cannot read none: No such file or directory (os error 2)\n");
    let sparse = fs::File::create(directory.path().join("long")).expect("created");
    sparse.set_len(1 << 40).expect("a sparse file");
    let (_, err) = ends(directory.path(), &["inspect", "long"], 1);
    assert!(err.ends_with("archive is 1099511627776 bytes long, at most 1073741824 are allowed\n"), "{err}");
}

#[test]
fn torn_and_changed_blobs_are_refused() {
    let layout = foreign(&json!({}), &TestElf::new().build());
    for index in 0..layout.files.len() {
        let path = layout.files[index].0.as_str();
        let mut changed = layout.clone();
        changed.files[index].1[0] ^= 1;
        let line = refusal(&changed.build(), &[]);
        assert!(line.starts_with(&format!("{path:?} has the sha-256 ")), "{line}");
        let mut torn = layout.clone();
        torn.files[index].1.pop();
        let len = layout.files[index].1.len();
        let expected = format!("{path:?} is {} bytes long, its descriptor says {len}", len - 1);
        assert_eq!(refusal(&torn.build(), &[]), expected);
        let mut gone = layout.clone();
        gone.files.remove(index);
        assert_eq!(refusal(&gone.build(), &[]), format!("archive has no file {path:?}"));
        let mut twice = layout.clone();
        twice.files.push(layout.files[index].clone());
        assert_eq!(refusal(&twice.build(), &[]), format!("archive has two files {path:?}"));
    }
    let archive = layout.build();
    let line = refusal(&archive[..archive.len() - 1024 - 512 - 100], &[]);
    assert!(!line.is_empty());
}

#[test]
fn documents_that_lie_are_refused() {
    let firmware = TestElf::new().build();
    let with = |descriptor: Value| {
        let mut layout = foreign(&json!({}), &firmware);
        layout.index = vec![descriptor];
        refusal(&layout.build(), &[])
    };
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let digest = "digest \"sha256:../../x\" must be sha256: and 64 lower-case hex digits";
    assert_eq!(with(json!({"mediaType": manifest, "digest": "sha256:../../x", "size": 1})), digest);
    assert_eq!(
        with(json!({"digest": 1})),
        "\"index.json\" is not a valid index: invalid type: integer `1`, expected a string at line 1 column 25"
    );
    let other = with(json!({"mediaType": "text/plain", "digest": format!("sha256:{:064}", 0), "size": 1}));
    assert_eq!(other, "archive has no image");
    let deep = tar(&[("index.json".to_owned(), vec![b'['; 5000])]);
    assert!(refusal(&deep, &[]).starts_with("\"index.json\" is not a valid index: "));
    let long = tar(&[("index.json".to_owned(), vec![b' '; (4 << 20) + 1])]);
    assert_eq!(refusal(&long, &[]), "\"index.json\" is 4194305 bytes long, at most 4194304 are allowed");
}

/// An image of one layer with these bytes, of which the configuration says that it unpacks to `diff_ids`.
fn with_layer(layer: Vec<u8>, diff_ids: &Value) -> Vec<u8> {
    let mut layout = Layout::default();
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer);
    let config =
        json!({"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = layout.blob("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
    let manifest = json!({"config": config, "layers": [layer]}).to_string().into_bytes();
    let manifest = layout.blob("application/vnd.oci.image.manifest.v1+json", manifest);
    layout.index.push(manifest);
    layout.build()
}

#[test]
fn layers_that_lie_are_refused() {
    let empty = tar(&[]);
    let id = format!("sha256:{}", firmware::checksum::sha256(&empty));
    assert_eq!(
        refusal(&with_layer(empty.clone(), &json!([id])), &[]),
        "the image has no file \"/firmware.elf\", which would be its firmware"
    );
    assert_eq!(
        refusal(&with_layer(empty.clone(), &json!([])), &[]),
        "manifest has 1 layers, the configuration has 0 diff ids"
    );
    let line = refusal(&with_layer(empty, &json!(["sha256:0"])), &[]);
    assert!(
        line.ends_with(&format!("unpacked it has the digest {id}, the configuration says \"sha256:0\"")),
        "{line}"
    );
    // A byte more than may be unpacked, in a file of a megabyte.
    let bomb = gzip(&vec![0; (384 << 20) + 1]);
    let line = refusal(&with_layer(bomb, &json!(["sha256:0"])), &[]);
    assert!(line.ends_with("the image unpacks to more than 402653184 bytes"), "{line}");
}
