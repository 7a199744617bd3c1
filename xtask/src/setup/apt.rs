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
    apt.args(arguments);
    apt
}
