//! Builds what is under test and gathers it where the harness looks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use qemu_tests::Artifacts;

use crate::setup::{self, rustup};
use crate::sh::Steps;
use crate::workspace::Workspace;
use crate::{no_arguments, sh};

/// How many steps [`all`] counts.
pub(crate) const STEPS: usize = 1 + IMAGE_STEPS;
/// How many [`image`] counts.
pub(crate) const IMAGE_STEPS: usize = 3;

/// The shim's package and binary.
const SHIM: [&str; 4] = ["-p", "micrun", "--bin", "containerd-shim-mica-v2"];

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    setup::for_build()?;
    let artifacts = all(&workspace, &mut Steps::new(STEPS))?;
    println!("{}", artifacts.bin().display());
    Ok(ExitCode::SUCCESS)
}

/// The test RTOS for a core, as arguments of cargo.
pub(crate) const RTOS: [&str; 7] =
    ["--release", "-p", "test-rtos", "--features", "image", "--target", rustup::FIRMWARE];

/// The same like an image for the Raspberry Pi 4.
pub(crate) const RTOS_RPI4: [&str; 7] =
    ["--release", "-p", "test-rtos", "--features", "image,rpi4", "--target", rustup::FIRMWARE];

/// The same with room for endpoints in its resource table.
const RTOS_WITH_ENDPOINTS: [&str; 7] =
    ["--release", "-p", "test-rtos", "--features", "image,endpoint-table", "--target", rustup::FIRMWARE];

/// Builds everything.
///
/// # Errors
/// Something does not build.
pub(crate) fn all(workspace: &Workspace, steps: &mut Steps) -> Result<Artifacts> {
    let directory = workspace.artifacts();
    fs::create_dir_all(directory.join("bin"))?;
    steps.next("building the shim");
    put(&shim(workspace, &rustup::host())?, &directory.join("bin/containerd-shim-mica-v2"))?;
    image(workspace, steps)?;
    put(&built_rtos(workspace, RTOS_RPI4)?, &directory.join("test-rtos-rpi4.elf"))?;
    Artifacts::in_directory(&directory).map_err(|missing| anyhow::anyhow!("{} is missing", missing.display()))
}

/// Builds the image of the test RTOS and what it is made by and of; gives the image's path.
///
/// # Errors
/// Something does not build.
pub(crate) fn image(workspace: &Workspace, steps: &mut Steps) -> Result<PathBuf> {
    let directory = workspace.artifacts();
    fs::create_dir_all(directory.join("bin"))?;
    steps.next("building the image builder");
    put(&builder(workspace)?, &directory.join("bin/micrun-image-builder"))?;
    steps.next("building the test RTOS");
    put(&rtos(workspace)?, &directory.join("test-rtos.elf"))?;
    steps.next("making the image");
    bundle(workspace, &directory)
}

/// Builds the shim as it ships for `target`, and gives its path.
///
/// # Errors
/// It does not build.
pub(crate) fn shim(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    sh::run(cargo.args(["build", "--release", "--target", target]).args(SHIM))?;
    Ok(workspace.target.join(target).join("release/containerd-shim-mica-v2"))
}

/// Builds the image builder as a static program for this machine, and gives its path.
///
/// # Errors
/// It does not build.
pub(crate) fn builder(workspace: &Workspace) -> Result<PathBuf> {
    let target = rustup::host();
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "-p", "image-builder", "--target", &target]);
    // In place of the flags that make the shim small: with them gzip takes a quarter longer.
    sh::run(cargo.env("RUSTFLAGS", ""))?;
    Ok(workspace.target.join(target).join("release/micrun-image-builder"))
}

/// Builds the shim with a core without a core, which never ships, and gives its path: in a directory of its own, so
/// that no later step takes it for the one that ships.
///
/// # Errors
/// It does not build.
pub(crate) fn fake_shim(workspace: &Workspace) -> Result<PathBuf> {
    let target = rustup::host();
    sh::run(
        workspace
            .cargo()
            .args(["build", "--release", "--features", "micrun/fake-core", "--target", &target])
            .args(SHIM),
    )?;
    let built = workspace.target.join(target).join("release/containerd-shim-mica-v2");
    let kept = workspace.target.join("bench/containerd-shim-mica-v2");
    fs::create_dir_all(workspace.target.join("bench"))?;
    // Copied, as cargo's own copy is a link to what it keeps.
    put(&built, &kept)?;
    fs::remove_file(&built)?;
    Ok(kept)
}

/// Builds the test RTOS, and gives its path.
///
/// # Errors
/// It does not build.
pub(crate) fn rtos(workspace: &Workspace) -> Result<PathBuf> {
    built_rtos(workspace, RTOS)
}

fn built_rtos(workspace: &Workspace, arguments: [&str; 7]) -> Result<PathBuf> {
    sh::run(workspace.cargo().arg("build").args(arguments))?;
    Ok(workspace.target.join(rustup::FIRMWARE).join("release/test-rtos"))
}

/// One that differs: linked for memory from `base` on instead of its usual place, so that two can run at once, and with
/// an endpoint table, so that its endpoints outlive their host.
///
/// # Errors
/// It does not build.
pub(crate) fn other_rtos(workspace: &Workspace, base: &str) -> Result<PathBuf> {
    let directory = workspace.target.join("other-rtos");
    let mut cargo = workspace.cargo();
    cargo
        .env("TEST_RTOS_BASE", base)
        .arg("build")
        .args(RTOS_WITH_ENDPOINTS)
        .arg("--target-dir")
        .arg(&directory);
    sh::run(&mut cargo)?;
    Ok(directory.join(rustup::FIRMWARE).join("release/test-rtos"))
}

fn bundle(workspace: &Workspace, directory: &Path) -> Result<PathBuf> {
    let image = directory.join("hello.tar");
    let mut builder = sh::command(directory.join("bin/micrun-image-builder"));
    builder.args(["bundle", "--name", Artifacts::HELLO]);
    builder.arg("--recipe").arg(workspace.root.join("recipes/test-rtos.toml"));
    builder.arg("--firmware").arg(directory.join("test-rtos.elf"));
    builder.arg("--output").arg(&image);
    sh::run(&mut builder)?;
    Ok(image)
}

/// Copies over a new file, not into the old one: a program that still runs can't be written to.
fn put(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new).with_context(|| from.display().to_string())?;
    fs::rename(&new, to).with_context(|| to.display().to_string())
}
