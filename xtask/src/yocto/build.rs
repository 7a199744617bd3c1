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
/// Recipes for the board, and their programs.
const PROGRAMS: [(&str, &str); 2] =
    [("micrun-shim", "containerd-shim-mica-v2"), ("micrun-image-builder", "micrun-image-builder")];

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
            println!("two builds give the same programs and firmware image");
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
            // Errors go to one, what led to them to the other.
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            match said.lines().find(|line| line.contains(reason)) {
                Some(line) if !output.status.success() => println!("{line}"),
                _ => bail!("firmware that does not fit was not refused:\n{said}"),
            }
        }
        Ok(())
    }
}

/// Digests of the board's programs and of the firmware's image.
fn products(build: &Build) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for (recipe, name) in PROGRAMS {
        let program = build.value(recipe, "D")?.join("usr/bin").join(name);
        let sum = sh::read(sh::command("sha256sum").arg(&program))?;
        let digest = sum.split(' ').next().unwrap_or_default();
        let bytes = fs::metadata(&program).with_context(|| program.display().to_string())?.len();
        digests.push(format!("{name}: {bytes} bytes, {digest}"));
    }
    digests.push(fs::read_to_string(build.deployed()?.join("micrun/micrun-firmware-hello.digest"))?);
    digests.iter().for_each(|digest| println!("{}", digest.trim_end()));
    Ok(digests)
}
