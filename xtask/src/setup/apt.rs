//! Installs Debian packages for programs that are missing.

use std::process::Command;

use anyhow::{Context, Result};

use super::qemu;
use crate::sh;

/// A program, how to see that it works, and the packages it comes with.
struct Need {
    program: &'static str,
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

const NEEDS: [Need; 5] = [
    Need { program: "cc", probe: &["--version"], packages: &["gcc", "libc6-dev"] },
    Need { program: "containerd", probe: &["--version"], packages: &["containerd"] },
    Need { program: "ctr", probe: &["--version"], packages: &["containerd"] },
    Need { program: "runc", probe: &["--version"], packages: &["runc"] },
    Need { program: "fdtoverlay", probe: &["--version"], packages: &["device-tree-compiler"] },
];

/// The compiler that the image builder's TLS and zstd need for a static program; `cc` is there, or cargo would not run this.
const COMPILER: [Need; 1] = [Need { program: "musl-gcc", probe: &["--version"], packages: &["musl-tools"] }];

/// Other people's tools for images, which the tests hand ours to.
const IMAGE_TOOLS: [Need; 3] = [
    Need { program: "skopeo", probe: &["--version"], packages: &["skopeo"] },
    Need { program: "umoci", probe: &["--version"], packages: &["umoci"] },
    Need { program: "mkfs.erofs", probe: &["--help"], packages: &["erofs-utils"] },
];

/// What the image builder is measured beside.
const IMAGE_PEERS: [Need; 1] = [Need { program: "buildah", probe: &["--version"], packages: &["buildah"] }];

/// What looks into firmware in the tests.
const DEBUGGER: [Need; 1] =
    [Need { program: "gdb-multiarch", probe: &["--version"], packages: &["gdb-multiarch"] }];

/// The package with `qemu-system-aarch64`.
const QEMU: &str = "qemu-system-arm";

/// Installs what is missing. QEMU too if that takes nothing away from the machine; otherwise (a newer `qemu-utils`
/// is installed, and Debian's two versions exclude each other) the caller uses a private copy.
///
/// # Errors
/// A package can't be installed.
pub(super) fn install_missing() -> Result<()> {
    let missing = NEEDS.iter().filter(|need| !sh::works(need.program, need.probe));
    let mut packages: Vec<&str> = missing.flat_map(|need| need.packages).copied().collect();
    packages.dedup();
    let without_qemu = qemu::of_the_machine().is_none();
    if packages.is_empty() && !(without_qemu && removes_nothing(QEMU)) {
        return Ok(());
    }
    update()?;
    if without_qemu && removes_nothing(QEMU) {
        packages.push(QEMU);
    }
    install_now(&packages)
}

/// # Errors
/// A package can't be installed.
pub(super) fn compiler() -> Result<()> {
    install_of(&COMPILER)
}

/// # Errors
/// A package can't be installed.
pub(super) fn image_tools() -> Result<()> {
    install_of(&IMAGE_TOOLS)
}

/// # Errors
/// A package can't be installed.
pub(super) fn image_peers() -> Result<()> {
    image_tools()?;
    install_of(&IMAGE_PEERS)
}

/// # Errors
/// A package can't be installed.
pub(super) fn debugger() -> Result<()> {
    install_of(&DEBUGGER)
}

/// Installs those that are missing.
fn install_of(needs: &[Need]) -> Result<()> {
    let missing = needs.iter().filter(|need| !sh::works(need.program, need.probe));
    let packages: Vec<&str> = missing.flat_map(|need| need.packages).copied().collect();
    if packages.is_empty() { Ok(()) } else { install(&packages) }
}

/// Installs `packages` after a look at what the mirror has.
///
/// # Errors
/// A package can't be installed.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    update()?;
    install_now(packages)
}

fn install_now(packages: &[&str]) -> Result<()> {
    println!("installing {} by apt", packages.join(", "));
    let mut install = apt_get(&["install", "--yes", "--no-install-recommends", "--no-remove"]);
    sh::run(install.args(packages)).with_context(|| {
        format!("cannot install {}: install them by other means and run this again", packages.join(", "))
    })
}

/// Whether apt knows `package` and could install it without removing another one.
fn removes_nothing(package: &str) -> bool {
    sh::works("apt-get", &["install", "--simulate", "--no-install-recommends", "--no-remove", package])
}

/// A source that does not answer is no reason to stop: the packages may come from another one.
fn update() -> Result<()> {
    if let Err(error) = sh::run(apt_get(&["update", "-qq"]).arg("--error-on=any")) {
        println!("going on with the package lists at hand: {error:#}");
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut apt = sh::as_root("apt-get", [("DEBIAN_FRONTEND", "noninteractive")]);
    // Another apt may be at work: a task beside this one, or the machine's own upgrades.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    apt
}
