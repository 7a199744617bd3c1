//! `verify`: each check has an image that passes it and one that does not.

use std::fs;

use firmware::test_elf::TestElf;
use serde_json::{Value, json};

use crate::images::{CONF, Layout, bundle, ends, foreign};

/// Verifies an archive of these bytes; gives the checks as `OUTCOME CHECK FOUND`.
fn verified(archive: &[u8], extra: &[&str], status: i32) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("f"), archive).expect("written");
    let (out, _) = ends(directory.path(), &[&["verify", "f", "--json"], extra].concat(), status);
    let verdict: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(verdict["holds"], status == 0);
    let checks = verdict["checks"].as_array().expect("checks").iter();
    let text = |check: &Value, key: &str| check[key].as_str().expect("text").to_owned();
    checks
        .map(|check| format!("{} {} {}", text(check, "outcome"), text(check, "check"), text(check, "found")))
        .collect()
}

fn failures(archive: &[u8], extra: &[&str]) -> Vec<String> {
    let failed = verified(archive, extra, 3).into_iter();
    failed.filter_map(|line| line.strip_prefix("failed ").map(str::to_owned)).collect()
}

/// An image with our labels, of which these have other values, and this `client.conf`.
fn image(changes: &Value, firmware: &[u8], conf: &str) -> Layout {
    let mut labels = json!({
        "org.openeuler.micrun.board": "qemu-arm64",
        "org.openeuler.micrun.container.client_conf_path": "/etc/mica/client.conf",
        "org.openeuler.micrun.container.firmware_cpu": "3",
        "org.openeuler.micrun.container.firmware_crc32": firmware::checksum::crc32(firmware),
        "org.openeuler.micrun.container.firmware_hash":
            format!("sha256:{}", firmware::checksum::sha256(firmware)),
        "org.openeuler.micrun.container.firmware_machine": "aarch64",
        "org.openeuler.micrun.container.firmware_path": "/firmware.elf",
    });
    for (key, value) in changes.as_object().expect("changes") {
        labels[key] = value.clone();
    }
    let mut layout = Layout::default();
    let files: &[(&str, &[u8])] = &[("firmware.elf", firmware), ("etc/mica/client.conf", conf.as_bytes())];
    let manifest = layout.image("arm64", &labels, &[files]);
    layout.index.push(manifest);
    layout
}

#[test]
fn a_signature_beside_the_image_is_seen() {
    let mut layout = image(&json!({}), &TestElf::new().build(), CONF);
    let unsigned = layout.build();
    assert_eq!(failures(&unsigned, &["--signed"]), ["signature there is none"]);
    let subject = layout.index[0].clone();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let empty = layout.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let manifest = json!({
        "schemaVersion": 2, "artifactType": kind, "config": empty, "layers": [empty], "subject": subject,
    });
    let signature =
        layout.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().into_bytes());
    layout.index.push(signature);
    let found = format!("passed signature there is one, unproven: {kind}");
    assert!(verified(&layout.build(), &["--signed"], 0).contains(&found));
}

fn changed(key: &str, value: &str) -> Vec<u8> {
    image(&json!({key: value}), &TestElf::new().build(), CONF).build()
}

#[test]
fn what_the_builder_makes_passes() {
    let directory = tempfile::tempdir().expect("a directory");
    bundle(&directory, "a.tar", &TestElf::new(), &["--licenses", "MIT"]);
    let licence = ["--require", "org.opencontainers.image.licenses=MIT", "--strict", "--board", "qemu-arm64"];
    let (out, err) = ends(directory.path(), &[&["verify", "a.tar"], &licence[..]].concat(), 0);
    assert_eq!(err, "");
    assert_eq!(out.lines().count(), 9, "{out}");
    assert!(out.lines().all(|line| line.starts_with("ok  ")), "{out}");
    assert!(verified(&image(&json!({}), &TestElf::new().build(), CONF).build(), &["--strict"], 0).len() == 8);
}

#[test]
fn changed_firmware_is_told_by_both_checksums() {
    let firmware = TestElf::new().build();
    let labels = json!({
        "org.openeuler.micrun.container.firmware_crc32": "00000000",
        "org.openeuler.micrun.container.firmware_hash": "sha256:0",
    });
    let crc = firmware::checksum::crc32(&firmware);
    let sha = firmware::checksum::sha256(&firmware);
    let expected = [
        format!("crc-32 the label says \"00000000\", the firmware has {crc}"),
        format!("sha-256 the label says \"sha256:0\", the firmware has sha256:{sha}"),
    ];
    assert_eq!(failures(&image(&labels, &firmware, CONF).build(), &[]), expected);
}

#[test]
fn firmware_that_the_shim_refuses_fails() {
    let firmware = TestElf::new().without_table().build();
    let expected = ["firmware elf file has no section .resource_table of type progbits"];
    assert_eq!(failures(&image(&json!({}), &firmware, CONF).build(), &[]), expected);
    assert_eq!(failures(&firmware, &[]), expected);
}

#[test]
fn the_board_must_be_known_and_fit() {
    let key = "org.openeuler.micrun.board";
    let unknown = "board label org.openeuler.micrun.board: board \"rpi5\" is unknown, known are: hieulerpi, \
                   ok3568, qemu-arm64, qemu-raspi4b, rpi4, sim-x86-64";
    assert_eq!(failures(&changed(key, "rpi5"), &[]), [unknown]);
    let other = "board the image is for \"rpi5\", it must be for qemu-arm64";
    assert_eq!(failures(&changed(key, "rpi5"), &["--board", "qemu-arm64"]), [other]);
    let misfit = TestElf::new().segment(0x1000, b"low").build();
    let outside = "board segment 2 (0x1000..0x1003) lies outside the rtos memory (0x7a000000..0x7e000000) of board \
                   qemu-arm64";
    assert_eq!(failures(&image(&json!({}), &misfit, CONF).build(), &[]), [outside]);
    assert_eq!(failures(&misfit, &["--board", "qemu-arm64"]), [outside]);
}

#[test]
fn client_conf_must_be_valid_and_name_a_core() {
    let with = |conf: &str| {
        let unlabelled = json!({"org.openeuler.micrun.container.firmware_cpu": conf.rsplit('=').next()});
        failures(&image(&unlabelled, &TestElf::new().build(), conf).build(), &[])
    };
    let head = "[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=";
    let cpu = "cpu client.conf: cpu 0 is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3";
    assert_eq!(with(&format!("{head}0")), [cpu]);
    let broken = with("Name=a");
    assert_eq!(
        broken.first().map(String::as_str),
        Some("client.conf line 1: \"Name=a\" stands before the section [Mica]")
    );
}

#[test]
fn labels_must_agree_with_the_image() {
    for (key, label, actual) in [
        ("firmware_path", "/x.elf", "/firmware.elf"),
        ("client_conf_path", "/c", "/etc/mica/client.conf"),
        ("firmware_machine", "riscv64", "aarch64"),
        ("firmware_cpu", "2", "3"),
    ] {
        let key = format!("org.openeuler.micrun.container.{key}");
        let expected = format!("labels label {key} is {label:?}, the image has {actual:?}");
        assert_eq!(failures(&changed(&key, label), &[]), [expected]);
    }
    let expected = "labels label org.openeuler.micrun.ped.pedestal is \"xen\", the image has \"\"";
    assert_eq!(failures(&changed("org.openeuler.micrun.ped.pedestal", "xen"), &[]), [expected]);
}

#[test]
fn labels_and_annotations_must_agree() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut layout = image(&json!({"org.openeuler.micrun.x": "a"}), &TestElf::new().build(), CONF);
    let (_, manifest) = layout.files.pop().expect("the manifest");
    let mut manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    manifest["annotations"] = json!({"org.openeuler.micrun.x": "b"});
    let kind = "application/vnd.oci.image.manifest.v1+json";
    layout.index = vec![layout.clone().blob(kind, manifest.to_string().into_bytes())];
    layout.blob(kind, manifest.to_string().into_bytes());
    let expected = "labels org.openeuler.micrun.x is \"a\" as a label and \"b\" as an annotation";
    assert_eq!(failures(&layout.build(), &[]), [expected]);
    fs::write(directory.path().join("f"), layout.build()).expect("written");
    let (out, _) = ends(directory.path(), &["verify", "f"], 3);
    assert!(out.contains("\nFAILED    labels       org.openeuler.micrun.x is"), "{out}");
}

#[test]
fn what_is_missing_is_a_doubt_and_fails_when_strict() {
    let archive = foreign(&json!({}), &TestElf::new().build()).build();
    let expected = [
        "passed firmware the shim accepts it",
        "doubtful board none is named, by a label or by --board",
        "doubtful crc-32 the image has no label org.openeuler.micrun.container.firmware_crc32",
        "doubtful sha-256 the image has no label org.openeuler.micrun.container.firmware_hash",
        "doubtful client.conf the image has no /etc/mica/client.conf",
        "passed labels they agree with the image",
        "passed entrypoint /x.elf",
    ];
    assert_eq!(verified(&archive, &[], 0), expected);
    assert_eq!(verified(&archive, &["--strict"], 3), expected);
}

#[test]
fn required_labels_must_be_there() {
    let archive = changed("team", "a");
    for (require, found) in [("team", "team is \"a\""), ("team=a", "team is \"a\"")] {
        let checks = verified(&archive, &["--require", require], 0);
        assert_eq!(checks.last().map(String::as_str), Some(format!("passed policy {found}").as_str()));
    }
    assert_eq!(
        failures(&archive, &["--require", "team=b"]),
        ["policy label team is \"a\", it must be \"b\""]
    );
    assert_eq!(failures(&archive, &["--require", "owner"]), ["policy label owner is required and missing"]);
    let (_, err) = ends(std::path::Path::new("/"), &["verify", "f", "--require", "=b"], 2);
    assert!(err.contains("it must be of the form KEY or KEY=VALUE"), "{err}");
}
