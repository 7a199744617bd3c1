//! How fast images are made, and with how much memory, beside what people would use instead.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::{Measurement, Unit, proc};
use crate::workspace::Workspace;
use crate::{build, setup, sh};

/// Most memory that making an image may take, whatever the firmware: 32 MiB.
const MEMORY_BUDGET: f64 = 32.0 * 1024.0;
const MEBIBYTE: usize = 1 << 20;

/// Firmware of a length, with how often it is packed.
struct Size {
    name: &'static str,
    mebibytes: usize,
    samples: usize,
}

const SIZES: [Size; 2] =
    [Size { name: "1 MiB", mebibytes: 1, samples: 5 }, Size { name: "256 MiB", mebibytes: 256, samples: 3 }];

/// Packs firmware of each length in each form, and has others do the same.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    setup::for_image_bench()?;
    let builder = build::builder(workspace)?;
    let elf = fs::read(build::rtos(workspace)?)?;
    let ground = tempfile::tempdir()?;
    let mut all = Vec::new();
    for size in &SIZES {
        lengthened(&elf, size.mebibytes, &ground.path().join("app.elf"))?;
        all.extend(measure(size, &builder, &ground)?);
    }
    Ok(all)
}

/// The test RTOS with bytes behind it that are not loaded, as debug data is not.
fn lengthened(elf: &[u8], mebibytes: usize, path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(elf)?;
    let noise: Vec<u8> =
        (0..MEBIBYTE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut left = (mebibytes * MEBIBYTE).saturating_sub(elf.len());
    while left > 0 {
        let piece = left.min(MEBIBYTE);
        file.write_all(noise.get(..piece).context("a piece")?)?;
        left -= piece;
    }
    Ok(())
}

fn measure(size: &Size, builder: &Path, ground: &TempDir) -> Result<Vec<Measurement>> {
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut memory = Vec::new();
    for _ in 0..size.samples {
        let [plain, packed, pipe, buildah] = &mut times;
        for (layer, times) in [("tar", plain), ("tar+gzip", packed)] {
            let (time, peak) = timed(bundle(builder, layer).current_dir(ground.path()))?;
            times.push(time);
            memory.push(peak);
        }
        pipe.push(timed(shell("tar -c app.elf | gzip | sha256sum").current_dir(ground.path()))?.0);
        buildah.push(timed(shell(BUILDAH).current_dir(ground.path()))?.0);
    }
    let [plain, packed, pipe, buildah] = times;
    let name = |what: &str| format!("{what}, {}", size.name);
    let unit = Unit::Milliseconds;
    Ok(vec![
        Measurement::new(&name("bundle"), unit, &plain)?.peer("buildah", &buildah)?,
        Measurement::new(&name("bundle, tar+gzip"), unit, &packed)?.peer("tar | gzip | sha256sum", &pipe)?,
        Measurement::new(&name("most memory of bundle"), Unit::Kibibytes, &memory)?.budget(MEMORY_BUDGET),
    ])
}

/// An image of the same file as an archive, with a store of its own that goes afterwards.
const BUILDAH: &str = "b() { buildah --root ./store --runroot ./run --storage-driver vfs \"$@\"; } && \
                       c=$(b from scratch) && b copy --quiet $c app.elf /firmware.elf && \
                       b commit --quiet $c oci-archive:buildah.tar && b rm $c && rm -rf store run buildah.tar";

fn bundle(builder: &Path, layer: &str) -> Command {
    let mut bundle = Command::new(builder);
    bundle.args(["bundle", "--firmware", "app.elf", "--board", "qemu-arm64", "--name", "localhost/bench:1"]);
    bundle.args(["--output", "out.tar", "--layer", layer]);
    bundle
}

fn shell(script: &str) -> Command {
    let mut shell = sh::command("sh");
    shell.args(["-c", script]);
    shell
}

/// Milliseconds until the end, and the most memory that was seen, in KiB.
fn timed(command: &mut Command) -> Result<(f64, f64)> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak = 0.0;
    let status = loop {
        // A mark that the kernel keeps: the last look before the end is enough.
        peak = proc::peak(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::yield_now();
    };
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok((begun.elapsed().as_secs_f64() * 1000.0, peak))
}
