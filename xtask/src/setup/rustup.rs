//! Adds what the Rust toolchain lacks.

use std::env::consts::ARCH;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sh;

/// The firmware's target: no floating point registers to save, as in a real-time kernel.
pub(crate) const FIRMWARE: &str = "aarch64-unknown-none-softfloat";
/// The boards' target: 64-bit Arm, static.
pub(crate) const BOARD: &str = "aarch64-unknown-linux-musl";

/// The machine's own target for a static program.
pub(crate) fn host() -> String {
    format!("{ARCH}-unknown-linux-musl")
}

/// Adds missing targets, clippy and rustfmt to the toolchain that runs this task.
///
/// # Errors
/// `rustup` fails, or there is none and something is missing.
pub(super) fn add_missing() -> Result<()> {
    let host = host();
    let targets = [host.as_str(), BOARD, FIRMWARE];
    let missing: Vec<&str> = targets.into_iter().filter(|target| !is_installed(target)).collect();
    if !missing.is_empty() {
        println!("adding Rust targets {}", missing.join(", "));
        rustup(&["target", "add"], &missing)?;
    }
    let components = ["clippy", "rustfmt"];
    if !components.iter().all(|name| sh::works(format!("cargo-{}", command_of(name)), &["--version"])) {
        rustup(&["component", "add"], &components)?;
    }
    Ok(())
}

/// The cargo command that a component brings.
fn command_of(component: &str) -> &str {
    if component == "rustfmt" { "fmt" } else { component }
}

fn is_installed(target: &str) -> bool {
    let directory = sh::read(sh::command("rustc").args(["--print", "target-libdir", "--target", target]));
    directory.is_ok_and(|path| Path::new(path.trim_end()).is_dir())
}

fn rustup(command: &[&str], names: &[&str]) -> Result<()> {
    sh::run(sh::command("rustup").args(command).args(names))
        .with_context(|| format!("{} missing in the Rust toolchain", names.join(", ")))
}
