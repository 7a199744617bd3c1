//! The library: what is in an archive, read back with other people's code, and what is refused.

mod archive;

use std::fs;
use std::sync::LazyLock;

use firmware::board::Board;
use firmware::client_conf::Key;
use firmware::test_elf::{CODE_ADDR, TestElf, minimal_table};
use firmware::{checksum, label};
use image_builder::bundle::Request;
use image_builder::content::Content;
use image_builder::epoch::Epoch;
use image_builder::layer::Format;
use image_builder::platform::Platform;
use image_builder::reference::Reference;
use oci_spec::image::{Arch, MediaType, Os};

use archive::{Archive, entries, packed};

const CONF: &str = "[Mica]\n# the demo\nclientpath=/lib/firmware/x.elf\nName=demo\nCPU=0x2\nPedestal=qemu\n";

fn name() -> &'static Reference {
    static NAME: LazyLock<Reference> =
        LazyLock::new(|| "localhost/demo/hello:1".parse().expect("a valid name"));
    &NAME
}

fn platform() -> &'static Platform {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| "linux/arm64".parse().expect("a valid platform"));
    &PLATFORM
}

fn content(bytes: &[u8]) -> Content {
    bytes.to_vec().into()
}

fn board() -> &'static Board {
    static BOARD: LazyLock<Board> = LazyLock::new(|| Board::by_name("qemu-arm64").expect("built in"));
    &BOARD
}

/// A request with nothing but the mandatory parts.
fn request(firmware: &Content) -> Request<'_> {
    Request {
        firmware,
        client_conf: None,
        settings: &[],
        board: board(),
        name: name(),
        platforms: std::slice::from_ref(platform()),
        format: Format::Tar,
        sbom: None,
        time: None,
        args: &[],
        files: &[],
        labels: &[],
        annotations: &[],
    }
}

/// What `client.conf` says of the firmware.
fn sums(firmware: &[u8]) -> String {
    let (crc, sha) = (checksum::crc32(firmware), checksum::sha256(firmware));
    format!("[Micrun]\nFirmwareCRC32={crc}\nFirmwareSHA256={sha}\nBoard=qemu-arm64\n")
}

fn refusal(firmware: &TestElf) -> String {
    packed(&request(&content(&firmware.build()))).expect_err("broken firmware").to_string()
}

fn conf_refusal(conf: &str) -> String {
    let firmware = TestElf::new().build();
    packed(&Request { client_conf: Some(conf), ..request(&content(&firmware)) })
        .expect_err("a broken client.conf")
        .to_string()
}

#[test]
fn an_archive_holds_firmware_and_client_conf() {
    let firmware = TestElf::new().build();
    let image = packed(&Request { client_conf: Some(CONF), ..request(&content(&firmware)) }).expect("valid");
    let archive = Archive::open(&image.archive);
    assert_eq!(image.digest, archive.manifest_digest);
    let layer = entries(&archive.layer);
    let conf =
        format!("[Mica]\nName=demo\nClientPath=/firmware.elf\nCPU=0x2\nPedestal=qemu\n{}", sums(&firmware));
    let expected: [(&str, u32, &[u8]); 4] = [
        ("etc/", 0o755, b""),
        ("etc/mica/", 0o755, b""),
        ("etc/mica/client.conf", 0o644, conf.as_bytes()),
        ("firmware.elf", 0o644, &firmware),
    ];
    assert_eq!(layer.len(), expected.len());
    for (entry, (path, mode, bytes)) in layer.iter().zip(expected) {
        assert_eq!((entry.path.as_str(), entry.mode, entry.mtime), (path, mode, 0));
        assert_eq!(entry.bytes, bytes, "{path}");
    }
}

#[test]
fn without_client_conf_one_is_made() {
    let firmware = TestElf::new().build();
    let image = packed(&request(&content(&firmware))).expect("valid");
    let layer = entries(&Archive::open(&image.archive).layer);
    let conf = layer.iter().find(|entry| entry.path == "etc/mica/client.conf").expect("a client.conf");
    let expected = format!("[Mica]\nName=hello\nClientPath=/firmware.elf\nCPU=3\n{}", sums(&firmware));
    assert_eq!(String::from_utf8_lossy(&conf.bytes), expected);
}

#[test]
fn files_arguments_and_settings_go_in() {
    let firmware = TestElf::new().build();
    let file = |path: &str, text: &str| (path.parse().expect("a valid path"), content(text.as_bytes()));
    let image = packed(&Request {
        settings: &[(Key::Pedestal, "qemu".to_owned()), (Key::Debug, "yes".to_owned())],
        args: &["-v".to_owned()],
        files: &[file("/etc/mica/extra", "more"), file("/data/ca.pem", "ca")],
        ..request(&content(&firmware))
    })
    .expect("valid");
    let archive = Archive::open(&image.archive);
    let layer = entries(&archive.layer);
    let conf = "[Mica]\nName=hello\nClientPath=/firmware.elf\nCPU=3\nPedestal=qemu\nDebug=yes\n";
    let conf = format!("{conf}{}", sums(&firmware));
    let expected: [(&str, u32, &[u8]); 7] = [
        ("data/", 0o755, b""),
        ("data/ca.pem", 0o644, b"ca"),
        ("etc/", 0o755, b""),
        ("etc/mica/", 0o755, b""),
        ("etc/mica/client.conf", 0o644, conf.as_bytes()),
        ("etc/mica/extra", 0o644, b"more"),
        ("firmware.elf", 0o644, &firmware),
    ];
    let found = layer.iter().map(|entry| (entry.path.as_str(), entry.mode, entry.bytes.as_slice()));
    assert_eq!(Vec::from_iter(found), expected);
    let run = archive.config.config().as_ref().expect("a run configuration");
    assert_eq!(run.entrypoint().as_deref(), Some(["/firmware.elf".to_owned(), "-v".to_owned()].as_slice()));
}

#[test]
fn configuration_manifest_and_index_are_what_oci_says() {
    let firmware = TestElf::new().build();
    let image = packed(&request(&content(&firmware))).expect("valid");
    let archive = Archive::open(&image.archive);
    let entry = &archive.index.manifests()[0];
    let annotations = entry.annotations().as_ref().expect("annotations");
    for key in ["io.containerd.image.name", "org.opencontainers.image.ref.name"] {
        assert_eq!(annotations[key], "localhost/demo/hello:1");
    }
    assert_eq!(*entry.media_type(), MediaType::ImageManifest);
    assert_eq!(*archive.manifest.config().media_type(), MediaType::ImageConfig);
    assert_eq!(*archive.manifest.layers()[0].media_type(), MediaType::ImageLayer);
    assert_eq!((archive.config.architecture(), archive.config.os()), (&Arch::ARM64, &Os::Linux));
    assert_eq!(archive.config.rootfs().typ(), "layers");
    let layer_digest = format!("sha256:{}", checksum::sha256(&archive.layer));
    assert_eq!(archive.config.rootfs().diff_ids(), &[layer_digest]);
    let run = archive.config.config().as_ref().expect("a run configuration");
    assert_eq!(run.entrypoint().as_deref(), Some(["/firmware.elf".to_owned()].as_slice()));
    assert_eq!(*archive.config.created(), None);
}

#[test]
fn docker_finds_the_same_blobs() {
    let image = packed(&request(&content(&TestElf::new().build()))).expect("valid");
    let archive = Archive::open(&image.archive);
    let blob = |digest: &str| digest.replace("sha256:", "blobs/sha256/");
    let expected = serde_json::json!([{
        "Config": blob(archive.manifest.config().digest().as_ref()),
        "RepoTags": ["localhost/demo/hello:1"],
        "Layers": [blob(archive.manifest.layers()[0].digest().as_ref())],
    }]);
    assert_eq!(archive.docker, expected);
}

#[test]
fn labels_are_the_same_in_configuration_and_manifest() {
    let firmware = TestElf::new().build();
    let time = Some(Epoch::parse("1700000000").expect("valid"));
    let image =
        packed(&Request { client_conf: Some(CONF), time, ..request(&content(&firmware)) }).expect("valid");
    let archive = Archive::open(&image.archive);
    let run = archive.config.config().as_ref().expect("a run configuration");
    let labels = run.labels().as_ref().expect("labels");
    assert_eq!(archive.manifest.annotations().as_ref(), Some(labels));
    let hash = format!("sha256:{}", checksum::sha256(&firmware));
    let expected = [
        (label::BOARD, "qemu-arm64"),
        (label::FIRMWARE_MACHINE, "aarch64"),
        (label::FIRMWARE_CPU, "0x2"),
        (label::FIRMWARE_PATH, "/firmware.elf"),
        (label::CLIENT_CONF_PATH, "/etc/mica/client.conf"),
        (label::PEDESTAL, "qemu"),
        (label::FIRMWARE_CRC32, &checksum::crc32(&firmware)),
        (label::FIRMWARE_HASH, &hash),
        ("org.opencontainers.image.created", "2023-11-14T22:13:20Z"),
    ];
    for (key, value) in expected {
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(labels.len(), expected.len());
    assert_eq!(archive.config.created().as_deref(), Some("2023-11-14T22:13:20Z"));
}

#[test]
fn the_time_is_that_of_every_entry() {
    let (firmware, time) = (TestElf::new().build(), Some(Epoch::parse("1700000000").expect("valid")));
    let image = packed(&Request { time, ..request(&content(&firmware)) }).expect("valid");
    let layer = Archive::open(&image.archive).layer;
    for entry in entries(&image.archive).iter().chain(&entries(&layer)) {
        assert_eq!(entry.mtime, 1_700_000_000, "{}", entry.path);
    }
}

#[test]
fn annotations_are_added_but_replace_nothing() {
    let firmware = TestElf::new().build();
    let with = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        packed(&Request { annotations: &pairs, ..request(&content(&firmware)) })
    };
    let image = with(&[("com.example.line", "a=b \"quoted\"")]).expect("valid");
    let archive = Archive::open(&image.archive);
    let annotations = archive.manifest.annotations().as_ref().expect("annotations");
    assert_eq!(annotations["com.example.line"], "a=b \"quoted\"");
    let text = |pairs: &[(&str, &str)]| with(pairs).expect_err("refused").to_string();
    let twice = "is written by the builder or given twice";
    assert_eq!(text(&[(label::BOARD, "x")]), format!("annotation {} {twice}", label::BOARD));
    assert_eq!(text(&[("a", "1"), ("a", "2")]), format!("annotation a {twice}"));
    assert_eq!(
        text(&[("a b", "1")]),
        "annotation \"a b\" must have a name of printable characters without blanks"
    );
}

#[test]
fn firmware_that_cannot_run_is_refused() {
    let elf = TestElf::new;
    assert_eq!(
        refusal(&elf().machine(62)),
        "firmware: elf header: machine is 62 (x86-64), it must be 183 (aarch64)"
    );
    assert_eq!(refusal(&elf().class(1)), "firmware: elf header: class is 1, it must be 2 (64-bit)");
    assert_eq!(
        refusal(&elf().without_table()),
        "firmware: elf file has no section .resource_table of type progbits"
    );
    assert_eq!(
        refusal(&elf().resource_table(&[0xff; 64])),
        "firmware: resource table: version is 0xffffffff, only version 1 exists"
    );
    let mut past = minimal_table();
    // The offset of its one entry: where the section has ended.
    past[16..20].copy_from_slice(&0x58_u32.to_le_bytes());
    assert_eq!(
        refusal(&elf().resource_table(&past)),
        "firmware: resource table: entry at offset 0x58 does not fit the table of 0x58 bytes"
    );
    assert_eq!(
        refusal(&elf().segment(CODE_ADDR + 2, b"xx")),
        "firmware: segments 0 and 2 overlap at 0x7a000002"
    );
    assert_eq!(
        refusal(&elf().segment(0x4800_0000, b"outside")),
        "firmware: segment 2 (0x48000000..0x48000007) lies outside the rtos memory (0x7a000000..0x7e000000) of \
         board qemu-arm64"
    );
    assert_eq!(
        refusal(&elf().segment(0x4000_0000, b"agent")),
        "firmware: segment 2 (0x40000000..0x40000005) overlaps the agent memory (0x40000000..0x40400000) of \
         board qemu-arm64"
    );
}

#[test]
fn a_resource_table_that_does_not_fit_the_board_is_refused() {
    let carveout = [0, 0x4000_0000, u32::MAX, 0x1000, 0, 0];
    let entries = minimal_table().split_off(0x14);
    let head = [1, 2, 0, 0, 0x18, 0x18 + u32::try_from(entries.len()).unwrap()].map(u32::to_le_bytes);
    let mut table = [head.concat(), entries, carveout.map(u32::to_le_bytes).concat()].concat();
    table.extend(b"frames");
    table.resize(table.len() + 26, 0);
    let elf = TestElf::new().resource_table(&table);
    let said = "firmware: resource table: carveout \"frames\" (0x40000000..0x40001000) lies outside the memory of board \
                qemu-arm64 that firmware may use, ";
    let refused = refusal(&elf);
    assert!(refused.starts_with(said), "{refused}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("firmware.elf");
    fs::write(&path, elf.build()).unwrap();
    let of_file = Content::open(&path, 1 << 20, |_| ()).unwrap();
    assert_eq!(packed(&request(&of_file)).expect_err("the same").to_string(), refused);
}

#[test]
fn files_that_are_no_firmware_are_refused() {
    let text = |file: &[u8]| packed(&request(&content(file))).expect_err("no firmware").to_string();
    assert_eq!(
        text(b"hello"),
        "firmware: not an elf file: it starts with [68, 65, 6c, 6c], an elf file with [7f, 45, 4c, 46]"
    );
    let file = TestElf::new().build();
    assert_eq!(
        text(&file[..file.len() - 1]),
        format!(
            "firmware: elf file is truncated: section header table takes 192 bytes from byte {}, the file has {}",
            file.len() - 192,
            file.len() - 1
        )
    );
}

#[test]
fn a_client_conf_that_does_not_suit_the_board_is_refused() {
    let head = "[Mica]\nName=a\nClientPath=/x\n";
    assert_eq!(conf_refusal("Name=a"), "client.conf: line 1: \"Name=a\" stands before the section [Mica]");
    assert_eq!(
        conf_refusal(head),
        "client.conf: CPU is missing, board qemu-arm64 runs firmware on cpu 1 to 3"
    );
    assert_eq!(
        conf_refusal(&format!("{head}CPU=1-3")),
        "client.conf: CPU is \"1-3\", it must be the number of one cpu"
    );
    assert_eq!(
        conf_refusal(&format!("{head}CPU=0")),
        "client.conf: cpu 0 is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3"
    );
    let xen = format!("{head}CPU=1-3\nPedestal=xen\nPedestalConf=/x.bin\nVCPU=2\nMemory=256\n");
    let firmware = TestElf::new().build();
    assert!(packed(&Request { client_conf: Some(&xen), ..request(&content(&firmware)) }).is_ok());
}

#[test]
fn warnings_are_handed_on() {
    let conf = format!("{CONF}AutoBot=yes\n");
    let firmware = TestElf::new().build();
    let image = packed(&Request { client_conf: Some(&conf), ..request(&content(&firmware)) }).expect("valid");
    let warnings: Vec<String> = image.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["line 7: key \"AutoBot\" is unknown and ignored, did you mean AutoBoot"]);
}
