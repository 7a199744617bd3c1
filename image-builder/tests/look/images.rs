//! Images as other people's tools write them, and as nobody should; and the command that looks at them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use firmware::checksum;
use firmware::test_elf::TestElf;
use serde_json::{Value, json};
use tar::{Builder, Header};
use tempfile::TempDir;

pub const CONF: &str = "[Mica]\nName=demo\nClientPath=/firmware.elf\nCPU=3\n";

/// A tar file of these files.
pub fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes.as_slice()).expect("appended");
    }
    builder.into_inner().expect("finished")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("written");
    gzip.finish().expect("finished")
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", checksum::sha256(bytes))
}

/// An archive to be, file by file.
#[derive(Clone, Default)]
pub struct Layout {
    pub files: Vec<(String, Vec<u8>)>,
    pub index: Vec<Value>,
}

impl Layout {
    /// Adds a blob; gives its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        let path = format!("blobs/{}", digest.replace(':', "/"));
        if self.files.iter().all(|(other, _)| *other != path) {
            self.files.push((path, bytes));
        }
        descriptor
    }

    /// Adds an image whose layers, packed by gzip, hold these files.
    pub fn image(&mut self, architecture: &str, labels: &Value, layers: &[&[(&str, &[u8])]]) -> Value {
        let (mut descriptors, mut diff_ids) = (Vec::new(), Vec::new());
        for layer in layers {
            let files: Vec<(String, Vec<u8>)> =
                layer.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
            let tar = tar(&files);
            diff_ids.push(digest(&tar));
            descriptors.push(self.blob("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&tar)));
        }
        let config = json!({
            "architecture": architecture, "os": "linux",
            "config": {"Entrypoint": ["/x.elf"], "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.blob("application/vnd.docker.container.image.v1+json", text(&config));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": descriptors});
        self.blob("application/vnd.docker.distribution.manifest.v2+json", text(&manifest))
    }

    /// The archive.
    pub fn build(&self) -> Vec<u8> {
        let mut files = self.files.clone();
        files.push(("index.json".to_owned(), text(&json!({"schemaVersion": 2, "manifests": self.index}))));
        tar(&files)
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// An archive of one image of another tool's making, with these labels and this firmware at `/x.elf`.
pub fn foreign(labels: &Value, firmware: &[u8]) -> Layout {
    let mut layout = Layout::default();
    let manifest = layout.image("arm64", labels, &[&[("x.elf", firmware)]]);
    layout.index.push(manifest);
    layout
}

/// Makes an archive `NAME` by the builder itself from this firmware.
pub fn bundle(directory: &TempDir, name: &str, firmware: &TestElf, extra: &[&str]) {
    fs::write(directory.path().join("app.elf"), firmware.build()).expect("written");
    let fixed = ["bundle", "--firmware", "app.elf", "--board", "qemu-arm64", "--platform", "linux/arm64"];
    let named = ["--name", "localhost/hello:1", "--output", name];
    let output = run(directory.path(), &[&fixed[..], &named, extra].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the builder.
pub fn run(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_micrun-image-builder"));
    command.current_dir(directory).env_remove("SOURCE_DATE_EPOCH").args(args);
    command.output().expect("the builder runs")
}

/// Runs the builder, which must end with this status; gives both of its outputs.
pub fn ends(directory: &Path, args: &[&str], status: i32) -> (String, String) {
    let output = run(directory, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    (out, err)
}
