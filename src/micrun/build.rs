//! Builds the agents (`agent/`) that the qemu pedestal puts on core 0 of an emulated board, and makes the shim small.
//!
//! The agent is a freestanding program for another CPU than the shim's, so it is not a dependency: this runs the same
//! `rustc` once more. A build without the `aarch64-unknown-none-softfloat` target says how to get it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "aarch64-unknown-none-softfloat";

fn main() {
    println!("cargo:rerun-if-changed=agent");
    println!("cargo:rerun-if-changed=size.ld");
    let linker = std::env::var_os("RUSTC_LINKER").unwrap_or_default();
    if Path::new(&linker).file_stem().is_some_and(|name| name == "rust-lld") {
        link_small();
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let rustc = std::env::var_os("RUSTC").expect("cargo sets RUSTC");
    build_agent(&rustc, Path::new("agent"), &out.join("agent.bin"));
    build_agent(&rustc, Path::new("agent/raspi4b"), &out.join("agent-raspi4b.bin"));
    println!("cargo:rustc-env=MICRUN_RUSTC_VERSION={}", version(&rustc));
}

/// `1.95.0`, out of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(rustc: &OsStr) -> String {
    let output = Command::new(rustc).arg("--version").output().expect("the rustc that compiled this runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}

/// Arguments of the static binary that ships: identical functions once, short relocations, no unwinding tables.
fn link_small() {
    let script = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("size.ld");
    let script = format!("-T{}", script.display());
    for argument in ["--icf=all", "--pack-dyn-relocs=relr", "--no-eh-frame-hdr", &script] {
        println!("cargo:rustc-link-arg-bin=containerd-shim-mica-v2={argument}");
    }
}

fn build_agent(rustc: &OsStr, source: &Path, image: &Path) {
    let status = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=agent", "-Dwarnings", "--target", TARGET])
        .args(["-Copt-level=z", "-Clto=fat", "-Cpanic=abort", "-Cdebuginfo=0"])
        .arg(format!("-Clink-arg=-T{}", source.join("agent.ld").display()))
        .arg("-Clink-arg=--oformat=binary")
        .arg("-o")
        .arg(image)
        .arg(source.join("main.rs"))
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("cannot build the agent; if the target is missing: rustup target add {TARGET}");
        exit(1);
    }
}
