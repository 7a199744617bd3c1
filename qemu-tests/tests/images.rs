//! Images of the builder in other people's hands: Skopeo, umoci, every containerd, Docker, Debian's registry.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use firmware::checksum;
use qemu_tests::{
    Artifacts, DEADLINE, Docker, Options, PROMPT, RUNTIME, Registry, Testbed, Version, directory, run,
    run_with_input, under_every_containerd,
};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "localhost/image:1";
/// The forms of a layer that everything takes, or nearly.
const LAYERS: [&str; 3] = ["tar", "tar+gzip", "tar+zstd"];
const BOTH: [&str; 4] = ["--platform", "linux/amd64", "--platform", "linux/arm64"];

under_every_containerd!(takes_an_index_of_two_platforms);

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
fn runs(bed: &Testbed, options: &[&str], image: &str, id: &str) -> Result<()> {
    let words = bed.run_words(&[&["--rm", "-t"], options].concat(), image, id);
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 5\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(5));
    Ok(())
}

#[test]
fn skopeo_takes_file_systems_and_indexes() -> Result<()> {
    for (extra, copy) in [(&["--layer", "erofs"][..], &["copy"][..]), (&BOTH, &["copy", "--all"])] {
        let (directory, digest) = bundled(extra)?;
        let path = directory.path();
        let names = ["--preserve-digests", "oci-archive:a.tar", "oci:copied:1"];
        let copied = [&["--insecure-policy"], copy, &names].concat();
        ok("skopeo", path, &copied)?;
        let raw = ok("skopeo", path, &["inspect", "--raw", "oci:copied:1"])?;
        assert_eq!(format!("sha256:{}", checksum::sha256(raw.as_bytes())), digest);
    }
    Ok(())
}

#[test]
fn skopeo_and_umoci_take_every_tar() -> Result<()> {
    for layer in LAYERS {
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

/// One layer, two manifests: each containerd takes its own platform's.
fn takes_an_index_of_two_platforms(version: Version) -> Result<()> {
    let bed = Testbed::with(&version.options())?;
    for layer in LAYERS {
        let (directory, _) = bundled(&[&BOTH[..], &["--sbom", "--layer", layer]].concat())?;
        bed.ctr.import(&directory.path().join("a.tar"))?;
        runs(&bed, &[], NAME, &format!("index-{}", layer.replace('+', "-")))?;
    }
    bed.clean()
}

#[test]
fn docker_loads_every_tar_and_an_index() -> Result<()> {
    let docker = Docker::start(&Version::V1_7.options())?;
    for layer in LAYERS {
        for platforms in [&[][..], &BOTH] {
            let (directory, _) = bundled(&[platforms, &["--sbom", "--layer", layer]].concat())?;
            let archive = directory.path().join("a.tar");
            let said = docker.ok(&["load", "--input", &archive.to_string_lossy()])?;
            assert_eq!(said, format!("Loaded image: {NAME}"), "{layer}");
            let words = ["run", "--rm", "--interactive", "--network", "none", "--runtime", RUNTIME, NAME];
            let output = run_with_input(&mut docker.command(&words), b"exit 4\r", DEADLINE)?;
            assert_eq!(output.status.code(), Some(4), "{layer}: {}", output.complaint());
            docker.ok(&["image", "rm", NAME])?;
        }
    }
    docker.clean()
}

#[test]
fn containerd_2_takes_a_layer_that_is_a_file_system() -> Result<()> {
    if !fs::read_to_string("/proc/filesystems")?.contains("\terofs\n") {
        eprintln!("not tested: this kernel has no EROFS");
        return Ok(());
    }
    let bed = Testbed::with(&Options { erofs: true, ..Version::V2_1.options() })?;
    let (directory, _) = bundled(&["--layer", "erofs"])?;
    let archive = directory.path().join("a.tar");
    bed.ctr.ok(&["images", "import", "--snapshotter", "erofs", &archive.to_string_lossy()])?;
    runs(&bed, &["--snapshotter", "erofs"], NAME, "erofs")?;
    // containerd keeps the file system mounted as long as it has the image.
    bed.ctr.ok(&["images", "rm", "--sync", NAME])?;
    bed.clean()
}

#[test]
fn what_containerd_has_and_runs_is_looked_at() -> Result<()> {
    let bed = Testbed::new()?;
    let address = bed.containerd.directory().join("containerd.sock");
    let there = ["--address", &address.to_string_lossy(), "--namespace", "micrun"];
    let (directory, digest) = bundled(&["--layer", "tar+zstd"])?;
    builder(&directory, &[&["import", "a.tar"], &there[..]].concat())?;
    let look = [&["inspect", NAME, "--json", "--containerd"], &there[..]].concat();
    let report: Value = serde_json::from_str(&builder(&directory, &look)?)?;
    assert_eq!((&report["image"]["digest"], &report["image"]["name"]), (&digest.into(), &NAME.into()));
    builder(&directory, &[&["verify", NAME, "--strict", "--containerd"], &there[..]].concat())?;
    let none = [&["inspect", "localhost/none:1", "--containerd"], &there[..]].concat();
    let none = builder(&directory, &none).expect_err("no such image").to_string();
    assert!(none.contains("cannot export localhost/none:1: ctr failed"), "{none}");

    let task = bed.detached("running")?;
    let bundle = bed.containerd.directory().join("state/io.containerd.runtime.v2.task/micrun/running");
    let firmware = bundle.join("rootfs/firmware.elf");
    let running = builder(&directory, &["inspect", &firmware.to_string_lossy(), "--board", "qemu-arm64"])?;
    assert!(running.contains("rpmsg-tty") && running.contains("rtos memory [#"), "{running}");
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn a_full_disk_keeps_the_old_archive() -> Result<()> {
    let (directory, _) = bundled(&[])?;
    let rtos = Artifacts::from_env().rtos();
    let script = "mount -t tmpfs -o size=64k none small && echo old > small/out.tar && \
                  ! \"$0\" bundle --firmware \"$1\" --board qemu-arm64 --name localhost/a:1 --output small/out.tar && \
                  ls -A small && cat small/out.tar";
    fs::create_dir(directory.path().join("small"))?;
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", script]).arg(Artifacts::from_env().builder()).arg(rtos);
    let output = run(shell.current_dir(directory.path()), DEADLINE)?;
    assert_eq!(output.text(), "out.tar\nold\n");
    let line = "micrun-image-builder: cannot write the archive: No space left on device (os error 28)\n";
    assert_eq!(output.complaint(), line);
    Ok(())
}

#[test]
fn debians_registry_takes_a_push_and_gives_a_pull() -> Result<()> {
    let registry = Registry::start(&directory("MICRUN_REGISTRY"))?;
    let (directory, digest) = bundled(&[&BOTH[..], &["--sbom", "--layer", "tar+gzip"]].concat())?;
    let name = format!("{}/plant/image:1", registry.host());
    let said = format!("{name} {digest}\n");
    assert_eq!(builder(&directory, &["push", "a.tar", &name, "--plain-http"])?, said);
    assert_eq!(builder(&directory, &["pull", &name, "--plain-http", "--output", "b.tar"])?, said);
    builder(&directory, &["diff", "a.tar", &name, "--plain-http"]).expect_err("only the name differs");
    builder(&directory, &["verify", &name, "--plain-http", "--strict"])?;
    // It keeps no list of referrers: the bill of materials is found by the tag.
    let tag = digest.replace(':', "-");
    let tagged = format!("docker://{}/plant/image:{tag}", registry.host());
    let index = ok("skopeo", directory.path(), &["inspect", "--raw", "--tls-verify=false", &tagged])?;
    let index: Value = serde_json::from_str(&index)?;
    assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.cyclonedx+json");

    let bed = Testbed::new()?;
    bed.ctr.ok(&["images", "pull", "--plain-http", &name])?;
    runs(&bed, &[], &name, "pulled")?;
    bed.clean()
}
