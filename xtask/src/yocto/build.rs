//! What is built, and what must not be.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::tree::Build;
use super::{Ground, HOST_TOOLS, timed};
use crate::layer::LAYER;
use crate::sh;

/// What is built; the rest is needed for it.
const TARGETS: [&str; 3] = ["micrun-firmware-hello", "micrun-rootfs", "nativesdk-micrun-image-builder"];

impl Ground {
    /// Builds, in two places if asked, and gives the root file system.
    pub(super) fn build(&self) -> Result<PathBuf> {
        let first = self.real("build", &[LAYER, HOST_TOOLS], "")?;
        timed("building", || sh::run(first.bitbake().args(TARGETS)))?;
        let digests = products(&first)?;
        if self.wish.twice {
            let second = self.real("build-elsewhere", &[LAYER, HOST_TOOLS], "")?;
            timed("building elsewhere", || sh::run(second.bitbake().args(TARGETS)))?;
            let again = products(&second)?;
            if digests != again {
                bail!("two builds differ: {digests:?} and {again:?}");
            }
            println!("two builds give the same shim and firmware image");
        }
        Ok(first.deployed()?.join("micrun-rootfs-qemuarm64.rootfs.ext4"))
    }

    /// Firmware that does not fit the machine's board fails while it is packed, with the builder's line: by its resource
    /// table, and on another board by its segments.
    pub(super) fn refusal(&self) -> Result<()> {
        let table =
            "micrun-image-builder: firmware: resource table: carveout \"frames\" (0x10000000..0x10001000)";
        let segment = "micrun-image-builder: firmware: segment 0 (0x7a000000..";
        let build = self.real("build", &[LAYER, HOST_TOOLS], "")?;
        for (board, reason) in [("qemu-arm64", table), ("hieulerpi", segment)] {
            let mut bitbake = build.bitbake();
            bitbake.arg("misfit-firmware").env("MICRUN_BOARD", board);
            let output = bitbake.output().context("cannot start bitbake")?;
            let said = String::from_utf8_lossy(&output.stdout);
            match said.lines().find(|line| line.contains(reason)) {
                Some(line) if !output.status.success() => println!("{line}"),
                _ => bail!("firmware that does not fit was not refused:\n{said}"),
            }
        }
        Ok(())
    }
}

/// Digests of the shim and of the firmware's image.
fn products(build: &Build) -> Result<[String; 2]> {
    let image = fs::read_to_string(build.deployed()?.join("micrun/micrun-firmware-hello.digest"))?;
    let shim = build.value("micrun-shim", "D")?.join("usr/bin/containerd-shim-mica-v2");
    let sum = sh::read(sh::command("sha256sum").arg(&shim))?;
    let bytes = fs::metadata(&shim).with_context(|| shim.display().to_string())?.len();
    println!("shim {bytes} bytes, {}\nimage {}", sum.trim_end(), image.trim_end());
    Ok([sum.split(' ').next().unwrap_or_default().to_owned(), image])
}
