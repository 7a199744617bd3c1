//! How fast images are made, and with how much memory they are made and looked at, beside what people would use instead.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use qemu_tests::Registry;

use super::{Measurement, Unit, proc};
use crate::workspace::Workspace;
use crate::{build, setup, sh};

/// Most memory that an image may take, whatever the firmware: 32 MiB.
const MEMORY_BUDGET: f64 = 32.0 * 1024.0;
/// At most as long as what people would use instead.
const SHARE: f64 = 1.0;

/// Firmware of a length, with how often it is packed.
struct Size {
    name: &'static str,
    mebibytes: usize,
    samples: usize,
}

const SIZES: [Size; 2] =
    [Size { name: "1 MiB", mebibytes: 1, samples: 5 }, Size { name: "256 MiB", mebibytes: 256, samples: 3 }];

/// Where images are made, and of what.
struct Ground<'a> {
    builder: &'a Path,
    registry: &'a Registry,
    directory: &'a Path,
}

/// Packs firmware of each length in each form, has others do the same, and looks at what came of it.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    let registry = Registry::start(&setup::for_image_bench(workspace)?)?;
    let builder = build::builder(workspace)?;
    let elf = fs::read(build::rtos(workspace)?)?;
    let directory = tempfile::tempdir()?;
    let ground = Ground { builder: &builder, registry: &registry, directory: directory.path() };
    let mut all = Vec::new();
    for size in &SIZES {
        lengthened(&elf, size.mebibytes, &ground.directory.join("app.elf"))?;
        all.extend(ground.times(size)?);
        all.extend(ground.memory(size)?);
    }
    Ok(all)
}

/// The test RTOS with bytes behind it that are not loaded, as debug data is not: words of which three of four come from a
/// table, as instructions do, so that they pack to two thirds.
fn lengthened(elf: &[u8], mebibytes: usize, path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(elf)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let table: Vec<u32> = (0..1024).map(|_| (next() >> 32) as u32).collect();
    for _ in elf.len() / 4..mebibytes << 18 {
        let random = next();
        let fresh = (random >> 32) as u32;
        let word = if random & 3 == 0 { fresh } else { table[(random >> 20) as usize % table.len()] };
        file.write_all(&word.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

impl Ground<'_> {
    fn times(&self, size: &Size) -> Result<Vec<Measurement>> {
        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..size.samples {
            let [plain, packed, pipe, buildah] = &mut times;
            plain.push(timed(&mut self.bundle("tar"))?);
            buildah.push(timed(&mut self.shell(BUILDAH))?);
            packed.push(timed(&mut self.bundle("tar+gzip"))?);
            pipe.push(timed(&mut self.shell(PIPE))?);
        }
        let [plain, packed, pipe, buildah] = times;
        let row = |what: &str, samples: &[f64]| {
            Measurement::new(&format!("{what}, {}", size.name), Unit::Milliseconds, samples)
        };
        Ok(vec![
            row("bundle", &plain)?.peer("buildah", &buildah)?.share(SHARE),
            row("bundle, tar+gzip", &packed)?.peer("tar, gzip, sha256sum", &pipe)?.share(SHARE),
        ])
    }

    /// What each command takes at most, on an image of each form; `out.tar` is one packed by gzip from here on.
    fn memory(&self, size: &Size) -> Result<Vec<Measurement>> {
        let name = format!("{}/bench/image:1", self.registry.host());
        let mut rows = Vec::new();
        let mut row = |what: &str, peak: f64| -> Result<()> {
            let what = format!("most memory of {what}, {}", size.name);
            rows.push(Measurement::new(&what, Unit::Kibibytes, &[peak])?.budget(MEMORY_BUDGET));
            Ok(())
        };
        for layer in ["erofs", "tar", "tar+zstd", "tar+gzip"] {
            row(&format!("bundle, {layer}"), peak(&mut self.bundle(layer))?)?;
            row(&format!("inspect, {layer}"), peak(&mut self.command(&["inspect", "out.tar"]))?)?;
        }
        let again = ["--plain-http", "--output", "again.tar"];
        row("verify", peak(&mut self.command(&["verify", "out.tar"]))?)?;
        row("diff", peak(&mut self.command(&["diff", "out.tar", "app.elf"]))?)?;
        row("push", peak(&mut self.command(&["push", "out.tar", &name, "--plain-http"]))?)?;
        row("pull", peak(&mut self.command(&[&["pull", &name], &again[..]].concat()))?)?;
        Ok(rows)
    }

    fn bundle(&self, layer: &str) -> Command {
        let made =
            ["bundle", "--firmware", "app.elf", "--board", "qemu-arm64", "--name", "localhost/bench:1"];
        self.command(&[&made[..], &["--output", "out.tar", "--layer", layer]].concat())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.builder);
        command.args(words).current_dir(self.directory).env("TMPDIR", self.directory);
        command
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = sh::command("sh");
        shell.args(["-c", script]).current_dir(self.directory);
        shell
    }
}

/// Levels are those of the builder and of gzip itself: 6.
const PIPE: &str = "tar -c app.elf | gzip | sha256sum";

/// An image of the same file as an archive, its layer plain too, with a store of its own that goes afterwards.
const BUILDAH: &str = "b() { buildah --root ./store --runroot ./run --storage-driver vfs \"$@\"; } && \
                       c=$(b from scratch) && b copy --quiet $c app.elf /firmware.elf && \
                       b commit --quiet $c oci-archive:buildah.tar && b rm $c && rm -rf store run buildah.tar";

/// Milliseconds until the end of a program that succeeds.
fn timed(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let status = quiet(command).status()?;
    let time = begun.elapsed().as_secs_f64() * 1000.0;
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(time)
}

/// The most memory that a program which succeeds has had at once, in KiB.
fn peak(command: &mut Command) -> Result<f64> {
    let mut child = quiet(command).spawn()?;
    let mut peak = 0.0;
    let status = loop {
        // A mark that the kernel keeps: the last look before the end is enough.
        peak = proc::peak(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        sleep(Duration::from_micros(200));
    };
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(peak)
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null())
}
