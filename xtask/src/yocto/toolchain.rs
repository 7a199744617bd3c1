//! The Rust toolchain that runs this, as archives of the shape in which the Rust project ships it: what the layer's recipe
//! downloads elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup::rustup;
use crate::sh;

/// Packs what is not there yet into `downloads`.
///
/// # Errors
/// The toolchain lacks a part, or was not installed by rustup.
pub(super) fn pack(downloads: &Path) -> Result<()> {
    fs::create_dir_all(downloads)?;
    let about = sh::read(sh::command("rustc").args(["--version", "--verbose"]))?;
    let said = |name: &str| {
        let line = about.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned).with_context(|| format!("rustc --version says nothing of {name:?}"))
    };
    let (version, host) = (said("release: ")?, said("host: ")?);
    let root = PathBuf::from(sh::read(sh::command("rustc").args(["--print", "sysroot"]))?.trim());
    for component in ["rustc", "cargo"] {
        part(&root, downloads, &version, component, component, &host)?;
    }
    let targets = [&host, "x86_64-unknown-linux-musl", rustup::BOARD, rustup::FIRMWARE];
    for target in targets {
        part(&root, downloads, &version, "rust-std", &format!("rust-std-{target}"), target)?;
    }
    Ok(())
}

/// Packs one component, whose files rustup lists, with `directory` on top of them.
fn part(
    root: &Path,
    downloads: &Path,
    version: &str,
    component: &str,
    directory: &str,
    target: &str,
) -> Result<()> {
    let name = format!("{component}-{version}-{target}");
    let archive = downloads.join(format!("{name}.tar.xz"));
    if archive.exists() {
        return Ok(());
    }
    let list = root.join(format!("lib/rustlib/manifest-{component}-{target}"));
    let files = fs::read_to_string(&list)
        .with_context(|| format!("{}: the toolchain is not rustup's, or lacks this", list.display()))?;
    let files: String =
        files.lines().filter_map(|line| line.strip_prefix("file:")).map(|file| format!("{file}\n")).collect();
    let names = downloads.join(format!("{name}.files"));
    fs::write(&names, files)?;
    let new = archive.with_extension("new");
    let mut tar = sh::command("tar");
    tar.arg("--create").arg("--file").arg(&new).args(["--use-compress-program", "xz -0 -T2"]);
    tar.arg(format!("--transform=s,^,{name}/{directory}/,")).arg("--directory").arg(root);
    sh::run(tar.arg("--files-from").arg(&names))?;
    fs::remove_file(names)?;
    Ok(fs::rename(new, archive)?)
}
