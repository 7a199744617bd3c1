//! Builds the kernel modules for the oldest and the newest kernel that they are for, and checks their style.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::no_arguments;
use crate::setup::kernel::{BuildRoot, KERNELS, OLDEST};
use crate::setup::kernel_source;
use crate::sh::{self, Steps};
use crate::workspace::Workspace;

/// A module of the repository.
struct Module {
    name: &'static str,
    source: &'static str,
}

const MODULES: [Module; 3] = [
    Module { name: "psci_rproc", source: "meta-micrun/recipes-kernel/micrun-remoteproc/files" },
    Module { name: "mcs_provider", source: "qemu-tests/mcs-provider" },
    Module { name: "no_psci", source: "qemu-tests/no-psci" },
];

/// Linux's own modules that Debian's kernels lack: source in the kernel, and what its configuration would say.
/// In the order in which they are loaded.
const RPMSG: [&str; 5] = ["rpmsg_ns", "virtio_rpmsg_bus", "rpmsg_char", "rpmsg_ctrl", "rpmsg_tty"];
/// What the compiler is told because Debian's configuration does not say it.
const RPMSG_FLAGS: &str =
    "ccflags-y := -DCONFIG_RPMSG_NS_MODULE=1 -DCONFIG_RPMSG_CHAR_MODULE=1 -DCONFIG_RPMSG_CTRL_MODULE=1";

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(KERNELS.len() + 1);
    steps.next("checking the modules' style");
    check_style(&workspace)?;
    for kernel in KERNELS {
        steps.next(&format!("building the modules for the {} kernel", kernel.name));
        let product = workspace.target.join("kernel").join(kernel.name);
        for module in build(&workspace, &kernel.root(&workspace.tools())?, &product)? {
            println!("{}", module.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the repository's modules with `root` into the directory `product`, and gives their paths.
///
/// # Errors
/// One does not build; a warning is an error.
pub(crate) fn build(workspace: &Workspace, root: &BuildRoot, product: &Path) -> Result<Vec<PathBuf>> {
    let build = |module: &Module| {
        let source = workspace.root.join(module.source);
        let files: Vec<_> = fs::read_dir(source)?.collect::<Result<_, _>>()?;
        let built = product.join(format!("{}.ko", module.name));
        let sources = files.iter().map(fs::DirEntry::path).chain([root.path.join("complete")]);
        if is_newer(&built, sources)? {
            return Ok(built);
        }
        let place = fresh(root, module.name)?;
        for file in files {
            fs::copy(file.path(), place.join(file.file_name()))?;
        }
        make(root, module.name)?;
        put(&place, module.name, product)
    };
    MODULES.iter().map(build).collect()
}

/// Whether `product` is there and newer than all `sources`.
fn is_newer(product: &Path, sources: impl IntoIterator<Item = PathBuf>) -> Result<bool> {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let Ok(built) = changed(product) else { return Ok(false) };
    for source in sources {
        if changed(&source).with_context(|| source.display().to_string())? >= built {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Builds Linux's modules for RPMsg with the oldest kernel's `root` into `product`, and gives their paths in the order
/// in which they are loaded. They need the kernel's own `rpmsg_core` before them.
///
/// # Errors
/// The source is not to be had, or does not build.
pub(crate) fn build_rpmsg(workspace: &Workspace, root: &BuildRoot, product: &Path) -> Result<Vec<PathBuf>> {
    const NAME: &str = "rpmsg";
    let built = RPMSG.map(|name| product.join(format!("{name}.ko")));
    let stamp = product.join("release");
    // Nobody changes these sources but a newer kernel.
    if fs::read_to_string(&stamp).is_ok_and(|release| release == root.release()) {
        return Ok(built.into());
    }
    let source = kernel_source::parts(&workspace.tools(), root)?;
    let (place, source) = (fresh(root, NAME)?, root.path.join(source.trim_start_matches('/')));
    for file in fs::read_dir(source.join("drivers/rpmsg"))? {
        let file = file?;
        fs::copy(file.path(), place.join(file.file_name()))?;
    }
    fs::copy(source.join("drivers/tty/rpmsg_tty.c"), place.join("rpmsg_tty.c"))?;
    let objects = RPMSG.map(|name| format!(" {name}.o")).concat();
    fs::write(place.join("Makefile"), format!("obj-m :={objects}\n{RPMSG_FLAGS}\n"))?;
    make(root, NAME)?;
    for name in RPMSG {
        put(&place, name, product)?;
    }
    fs::write(stamp, root.release())?;
    Ok(built.into())
}

/// Runs the kernel's own `checkpatch.pl` over the sources.
///
/// # Errors
/// It finds something, or is not to be had.
fn check_style(workspace: &Workspace) -> Result<()> {
    let root = OLDEST.root(&workspace.tools())?;
    let source = kernel_source::parts(&workspace.tools(), &root)?;
    for module in &MODULES {
        let place = fresh(&root, "style")?;
        let file = format!("{}.c", module.name);
        fs::copy(workspace.root.join(module.source).join(&file), place.join(&file))?;
        let mut perl = root.program("perl");
        perl.arg(format!("{source}/scripts/checkpatch.pl"));
        perl.args(["--no-tree", "--strict", "--terse", "--file", &format!("/modules/style/{file}")]);
        sh::run(&mut perl)?;
    }
    Ok(())
}

/// An empty directory below `/modules` in the root.
fn fresh(root: &BuildRoot, name: &str) -> Result<PathBuf> {
    let place = root.path.join("modules").join(name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// `make` in the root, of what is in the directory that [`fresh`] made.
fn make(root: &BuildRoot, name: &str) -> Result<()> {
    let mut make = root.program("make");
    make.args(["-C", &root.headers, &format!("M=/modules/{name}"), "modules"]);
    make.args(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "KCFLAGS=-Werror"]);
    sh::run(&mut make)
}

fn put(place: &Path, name: &str, product: &Path) -> Result<PathBuf> {
    let file = format!("{name}.ko");
    fs::create_dir_all(product)?;
    let (built, to) = (place.join(&file), product.join(&file));
    fs::copy(&built, &to).with_context(|| built.display().to_string())?;
    Ok(to)
}
