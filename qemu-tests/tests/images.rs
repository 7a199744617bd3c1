//! Images of the builder in other people's hands: Skopeo, umoci, containerd, Debian's registry.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Testbed, run, wait_for};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "localhost/image:1";

/// Standard output of a program that succeeds.
fn ok(program: impl AsRef<std::ffi::OsStr>, directory: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    Ok(run(command.args(words).current_dir(directory), DEADLINE)?.ok()?.text().into_owned())
}

fn builder(directory: &TempDir, words: &[&str]) -> Result<String> {
    ok(Artifacts::from_env().builder(), directory.path(), words)
}

/// An image `a.tar` of the test RTOS in a new directory, and its digest.
fn bundled(extra: &[&str]) -> Result<(TempDir, String)> {
    let directory = tempfile::tempdir()?;
    let rtos = Artifacts::from_env().rtos();
    let rtos = rtos.to_string_lossy();
    let words = ["bundle", "--firmware", &rtos, "--board", "qemu-arm64", "--name", NAME, "--output", "a.tar"];
    let said = builder(&directory, &[&words, extra].concat())?;
    let digest = said.trim_end().rsplit(' ').next().context("a digest")?.to_owned();
    Ok((directory, digest))
}

/// Runs the image to its prompt and ends it.
fn runs(bed: &Testbed, image: &str, id: &str) -> Result<()> {
    let words = bed.run_words(&["--rm", "-t"], image, id);
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 5\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(5));
    Ok(())
}

#[test]
fn skopeo_and_umoci_take_every_tar() -> Result<()> {
    for layer in ["tar", "tar+gzip", "tar+zstd"] {
        let (directory, digest) = bundled(&["--layer", layer])?;
        let path = directory.path();
        let inspected = ok("skopeo", path, &["inspect", "oci-archive:a.tar"])?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        assert_eq!(inspected["Digest"], digest.as_str(), "{layer}");
        ok("skopeo", path, &["--insecure-policy", "copy", "oci-archive:a.tar", "dir:copied"])?;
        // umoci of Debian 12 knows no zstd.
        if layer != "tar+zstd" {
            fs::create_dir(path.join("layout"))?;
            ok("tar", path, &["xf", "a.tar", "-C", "layout"])?;
            ok("umoci", path, &["unpack", "--image", &format!("layout:{NAME}"), "bundle"])?;
            let unpacked = fs::read(path.join("bundle/rootfs/firmware.elf"))?;
            ensure!(unpacked == fs::read(Artifacts::from_env().rtos())?, "{layer}: other firmware");
        }
    }
    Ok(())
}

#[test]
fn containerd_takes_what_import_brings() -> Result<()> {
    let bed = Testbed::new()?;
    let address = bed.containerd.directory().join("containerd.sock");
    let address = address.to_string_lossy();
    for (number, layer) in ["tar", "tar+gzip", "tar+zstd"].into_iter().enumerate() {
        let both = ["--platform", "linux/amd64", "--platform", "linux/arm64", "--sbom", "--layer", layer];
        let (directory, _) = bundled(&both)?;
        builder(&directory, &["import", "a.tar", "--address", &address, "--namespace", "micrun"])?;
        runs(&bed, NAME, &format!("import-{number}"))?;
    }
    bed.clean()
}

/// Debian's registry on a port of its own, with nothing in it.
struct Registry {
    child: Child,
    host: String,
    _store: TempDir,
}

impl Registry {
    fn start() -> Result<Registry> {
        let tools =
            env::var_os("MICRUN_REGISTRY").context("MICRUN_REGISTRY is not set: run `cargo xtask test`")?;
        let store = tempfile::tempdir()?;
        // Free a moment ago, which is all that a port can be known to be.
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let root = store.path().join("blobs");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: {host} }}\n",
            root.display()
        );
        let file = store.path().join("config.yml");
        fs::write(&file, config)?;
        let program = PathBuf::from(tools).join("docker-registry");
        let mut serve = Command::new(program);
        serve.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Registry { child: serve.spawn()?, host, _store: store };
        wait_for("the registry", DEADLINE, || std::net::TcpStream::connect(&registry.host).ok())?;
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has no state that matters.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn debians_registry_takes_a_push_and_gives_a_pull() -> Result<()> {
    let registry = Registry::start()?;
    let both = ["--platform", "linux/amd64", "--platform", "linux/arm64", "--sbom", "--layer", "tar+gzip"];
    let (directory, digest) = bundled(&both)?;
    let name = format!("{}/plant/image:1", registry.host);
    let said = format!("{name} {digest}\n");
    assert_eq!(builder(&directory, &["push", "a.tar", &name, "--plain-http"])?, said);
    assert_eq!(builder(&directory, &["pull", &name, "--plain-http", "--output", "b.tar"])?, said);
    builder(&directory, &["diff", "a.tar", &name, "--plain-http"]).expect_err("only the name differs");
    builder(&directory, &["verify", &name, "--plain-http", "--strict"])?;
    // It keeps no list of referrers: the bill of materials is found by the tag.
    let tag = digest.replace(':', "-");
    let tagged = format!("docker://{}/plant/image:{tag}", registry.host);
    let index = ok("skopeo", directory.path(), &["inspect", "--raw", "--tls-verify=false", &tagged])?;
    let index: Value = serde_json::from_str(&index)?;
    assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.cyclonedx+json");

    let bed = Testbed::new()?;
    bed.ctr.ok(&["images", "pull", "--plain-http", &name])?;
    runs(&bed, &name, "pulled")?;
    bed.clean()
}
