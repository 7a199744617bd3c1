//! Builds the kernel module for the oldest and the newest kernel that it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::no_arguments;
use crate::setup::kernel::{BuildRoot, KERNELS};
use crate::sh::{self, Steps};
use crate::workspace::Workspace;

/// The module's source in the repository.
const SOURCE: &str = "meta-micrun/recipes-kernel/micrun-remoteproc/files";
/// What comes out of it.
const MODULE: &str = "psci_rproc.ko";
/// Where the source is in a build root.
const PLACE: &str = "/module";

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(KERNELS.len());
    for kernel in KERNELS {
        steps.next(&format!("building {MODULE} for the {} kernel", kernel.name));
        let built = build(&workspace.root.join(SOURCE), &kernel.root(&workspace.tools())?)?;
        let product = workspace.target.join("kernel").join(kernel.name);
        fs::create_dir_all(&product)?;
        fs::copy(&built, product.join(MODULE)).with_context(|| built.display().to_string())?;
        println!("{}", product.join(MODULE).display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the module from a fresh copy of its source; a warning is an error.
fn build(source: &Path, root: &BuildRoot) -> Result<PathBuf> {
    let copy = root.path.join(PLACE.trim_start_matches('/'));
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(&copy)?;
    for file in fs::read_dir(source)? {
        let file = file?;
        fs::copy(file.path(), copy.join(file.file_name()))?;
    }
    sh::run(&mut make(root))?;
    Ok(copy.join(MODULE))
}

/// `make` inside the root, as the caller.
fn make(root: &BuildRoot) -> std::process::Command {
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut chroot = sh::as_root("chroot", [("LC_ALL", "C")]);
    chroot.arg(format!("--userspec={user}:{group}")).arg(&root.path);
    chroot.args(["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "/usr/bin/make", "-C", PLACE]);
    chroot.arg(format!("KERNEL_SRC={}", root.headers));
    chroot.args(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "KCFLAGS=-Werror"]);
    chroot
}
