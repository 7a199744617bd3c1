//! What of the image is not micrun's: containerd, busybox and the C library, out of Debian's arm64 packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup::private::{PrivateApt, STABLE, remove_if_there};
use crate::sh;

const PACKAGES: [&str; 3] = ["containerd:arm64", "libc6:arm64", "busybox-static:arm64"];
/// What is kept of them.
const FILES: [&str; 6] = [
    "usr/bin/containerd",
    "usr/bin/ctr",
    "bin/busybox",
    "lib/ld-linux-aarch64.so.1",
    "lib/aarch64-linux-gnu/ld-linux-aarch64.so.1",
    "lib/aarch64-linux-gnu/libc.so.6",
];

/// The directory below `tools` that becomes the root file system's beginning; made if it is not there.
///
/// # Errors
/// The packages are not to be had.
pub(super) fn unpack(tools: &Path) -> Result<PathBuf> {
    let directory = tools.join("yocto-prebuilt");
    if directory.exists() {
        return Ok(directory);
    }
    let (whole, new) = (tools.join("yocto-packages"), directory.with_extension("new"));
    for old in [&whole, &new] {
        remove_if_there(old)?;
    }
    PrivateApt::open_foreign(tools, &[STABLE], "arm64")?.unpack_alone(&PACKAGES, STABLE, &whole)?;
    for file in FILES {
        let to = new.join(file);
        fs::create_dir_all(to.parent().context("no parent")?)?;
        sh::read(sh::command("cp").arg("--no-dereference").arg(whole.join(file)).arg(to))?;
    }
    fs::remove_dir_all(whole)?;
    fs::rename(new, &directory)?;
    Ok(directory)
}
