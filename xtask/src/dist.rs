//! Packs the repository and every crate that it needs into one archive: what distributions build from without a network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::no_arguments;
use crate::sh::{self, Steps};
use crate::workspace::Workspace;

/// Where programs of the archive run or are built: crates for other systems are packed without their contents.
const PLATFORMS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
];

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    println!("{}", archive(&Workspace::find()?, &mut Steps::new(STEPS))?.display());
    Ok(ExitCode::SUCCESS)
}

/// How many steps [`archive`] counts.
pub(crate) const STEPS: usize = 3;

/// Makes the archive and gives its path. Equal sources of one commit give equal bytes.
///
/// # Errors
/// Git, cargo or tar fails; a crate is not to be had.
pub(crate) fn archive(workspace: &Workspace, steps: &mut Steps) -> Result<PathBuf> {
    let name = format!("micrun-{}", env!("CARGO_PKG_VERSION"));
    let directory = workspace.target.join("dist");
    let stage = directory.join(&name);
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    steps.next("copying the sources");
    copy_sources(workspace, &stage)?;
    steps.next("copying the crates");
    copy_crates(workspace, &stage.join("vendor"))?;
    steps.next("packing");
    let archive = directory.join(format!("{name}.tar.gz"));
    pack(workspace, &directory, &name, &archive)?;
    fs::remove_dir_all(&stage)?;
    Ok(archive)
}

/// What git tracks, and what it would: a change need not be committed to be tried.
fn copy_sources(workspace: &Workspace, stage: &Path) -> Result<()> {
    let mut list = git(workspace);
    let list = sh::read(list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    for name in list.split_terminator('\0') {
        let (from, to) = (workspace.root.join(name), stage.join(name));
        // What is removed but not yet committed is still listed.
        if !from.exists() {
            continue;
        }
        fs::create_dir_all(to.parent().context("no parent")?)?;
        fs::copy(&from, &to).with_context(|| from.display().to_string())?;
    }
    Ok(())
}

fn copy_crates(workspace: &Workspace, to: &Path) -> Result<()> {
    let mut vendor = workspace.cargo();
    vendor.args(["vendor", "--locked", "--quiet", "--versioned-dirs"]).arg(to);
    // It prints settings, which whoever builds from the archive makes for himself.
    sh::read(&mut vendor)?;
    let used = used_crates(workspace)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !used.contains(&*entry.file_name().to_string_lossy()) {
            empty(&entry.path())?;
        }
    }
    Ok(())
}

/// The crates that take part on some of [`PLATFORMS`], as `NAME-VERSION`.
fn used_crates(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for platform in PLATFORMS {
        let mut metadata = workspace.cargo();
        metadata.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", platform]);
        let metadata: Value = serde_json::from_str(&sh::read(&mut metadata)?)?;
        let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
        used.extend(packages.iter().filter_map(|package| {
            Some(format!("{}-{}", package["name"].as_str()?, package["version"].as_str()?))
        }));
    }
    Ok(used)
}

/// Leaves of a crate what cargo reads to know that it does not take part: half of the crates' bytes are Windows'.
fn empty(package: &Path) -> Result<()> {
    for entry in fs::read_dir(package)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else if !path.ends_with("Cargo.toml") && !path.ends_with(".cargo-checksum.json") {
            fs::remove_file(path)?;
        }
    }
    fs::create_dir(package.join("src"))?;
    Ok(fs::write(package.join("src/lib.rs"), "")?)
}

/// Packs `name` in `directory`, so that nothing but the contents of the files and the commit decides.
fn pack(workspace: &Workspace, directory: &Path, name: &str, archive: &Path) -> Result<()> {
    let time = sh::read(git(workspace).args(["log", "-1", "--format=%ct"]))?;
    let new = archive.with_extension("new");
    let mut tar = sh::command("tar");
    tar.args(["--create", "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u=rwX,go=rX", "--use-compress-program=gzip -n"]);
    tar.arg(format!("--mtime=@{}", time.trim())).arg("--file").arg(&new);
    sh::run(tar.arg("--directory").arg(directory).arg(name))?;
    Ok(fs::rename(new, archive)?)
}

fn git(workspace: &Workspace) -> std::process::Command {
    let mut git = sh::command("git");
    git.arg("-C").arg(&workspace.root);
    git
}
