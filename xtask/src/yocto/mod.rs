//! Builds with the Yocto layer, by real bitbake on trees that the caller has: parsing, `yocto-check-layer`, the tasks of
//! `micrun-image`, and a build that takes compilers and what is not micrun's from the machine and from Debian. What it
//! built is booted, and runs a container.

mod arguments;
mod boot;
mod prebuilt;
mod toolchain;
mod tree;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::arguments::Wish;
use self::tree::{Build, Tree};
use crate::layer::LAYER;
use crate::sh::{self, Steps};
use crate::workspace::Workspace;
use crate::{dist, setup};

/// Where the layer for this task is, in the repository.
const HOST_TOOLS: &str = "qemu-tests/yocto/meta-host-tools";
/// What is built; the rest is needed for it.
const TARGETS: [&str; 2] = ["micrun-firmware-hello", "micrun-rootfs"];
/// A machine of the layer's own and of openembedded-core; others come with their layers.
const MACHINES: [&str; 2] = ["micrun-qemu-arm64", "qemuarm64"];

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = arguments::parse(arguments)?;
    if let Some(image) = &wish.boot {
        boot::run(&Workspace::find()?, image)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some((oe_core, bitbake)) = wish.trees()? else {
        println!("skipped: --oe-core and --bitbake name the trees to build with, and there are none");
        return Ok(ExitCode::SUCCESS);
    };
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(dist::STEPS + 7);
    setup::for_yocto()?;
    dist::archive(&workspace, &mut steps)?;
    let directory = workspace.target.join("yocto");
    let downloads = directory.join("downloads");
    steps.next("packing the Rust toolchain as its project does");
    toolchain::pack(&downloads)?;
    steps.next("unpacking Debian's containerd and busybox for the image");
    let prebuilt = prebuilt::unpack(&workspace.tools())?;
    let ground = Ground { tree: Tree { oe_core, bitbake }, workspace, directory, downloads, prebuilt, wish };
    steps.next("the layer by itself: parsing, and what yocto-check-layer says");
    ground.check()?;
    steps.next("the tasks of micrun-image for each machine");
    ground.graphs()?;
    steps.next("building");
    let image = ground.build()?;
    steps.next("refusing firmware that does not fit the board");
    ground.refusal()?;
    steps.next("booting the image");
    boot::run(&ground.workspace, &image)?;
    println!("the layer builds, and what it built runs");
    Ok(ExitCode::SUCCESS)
}

/// What everything here works on.
struct Ground {
    tree: Tree,
    workspace: Workspace,
    /// Build directories are below it.
    directory: PathBuf,
    /// Bitbake's, with the toolchain in it.
    downloads: PathBuf,
    /// The beginning of the root file system.
    prebuilt: PathBuf,
    wish: Wish,
}

/// What switches the layer on.
const FEATURE: &str = "DISTRO_FEATURES:append = \" micrun\"\nMACHINE ?= \"qemuarm64\"\n";
/// What the kas files set besides.
const IMAGE: &str = "INIT_MANAGER = \"systemd\"\nDISTRO_FEATURES:append = \" virtualization seccomp\"\n";

impl Ground {
    fn check(&self) -> Result<()> {
        let parse = Build::new(&self.tree, &self.directory, "parse", &self.layers(), FEATURE)?;
        timed("parsing", || sh::run(parse.bitbake().arg("--parse-only")))?;
        if !self.wish.check_layer {
            println!("yocto-check-layer runs if --check-layer asks for it: it takes long");
            return Ok(());
        }
        let check = Build::new(&self.tree, &self.directory, "check", &[], "MACHINE = \"qemuarm64\"\n")?;
        let mut program = check.program(&self.tree.oe_core.join("scripts/yocto-check-layer"));
        program.arg("--no-auto-dependency").arg(self.workspace.root.join(LAYER));
        timed("yocto-check-layer", || sh::run(&mut program))
    }

    /// The layers with which `micrun-image` is looked at.
    fn layers(&self) -> Vec<PathBuf> {
        [&[self.workspace.root.join(LAYER)], &self.wish.layers[..]].concat()
    }

    fn graphs(&self) -> Result<()> {
        if !self.wish.layers.iter().any(|layer| layer.to_string_lossy().contains("virt")) {
            println!("skipped: micrun-image needs containerd, and no --layer names meta-virtualization");
            return Ok(());
        }
        let settings = [FEATURE, IMAGE].concat();
        let graph = Build::new(&self.tree, &self.directory, "graph", &self.layers(), &settings)?;
        for machine in MACHINES.iter().copied().chain(self.wish.machines.iter().map(String::as_str)) {
            let mut bitbake = graph.bitbake();
            bitbake.args(["--graphviz", "micrun-image"]).env("MACHINE", machine);
            timed(machine, || sh::run(&mut bitbake))?;
        }
        Ok(())
    }

    /// Builds, in two places if asked, and gives the root file system.
    fn build(&self) -> Result<PathBuf> {
        let first = self.real("build")?;
        timed("building", || sh::run(first.bitbake().args(TARGETS)))?;
        let digests = products(&first)?;
        if self.wish.twice {
            let second = self.real("build-elsewhere")?;
            timed("building elsewhere", || sh::run(second.bitbake().args(TARGETS)))?;
            let again = products(&second)?;
            if digests != again {
                bail!("two builds differ: {digests:?} and {again:?}");
            }
            println!("two builds give the same shim and firmware image");
        }
        Ok(first.deployed()?.join("micrun-rootfs-qemuarm64.rootfs.ext4"))
    }

    /// The directory of a build that builds.
    fn real(&self, name: &str) -> Result<Build<'_>> {
        let settings = format!(
            "MACHINE = \"qemuarm64\"\nDISTRO = \"micrun-test\"\nDL_DIR = \"{}\"\nMICRUN_PREBUILT = \"{}\"\n",
            self.downloads.display(),
            self.prebuilt.display()
        );
        let ours = [LAYER, HOST_TOOLS].map(|layer| self.workspace.root.join(layer));
        Build::new(&self.tree, &self.directory, name, &ours, &settings)
    }

    /// Firmware for one board on another's machine fails while it is packed, with the builder's line.
    fn refusal(&self) -> Result<()> {
        const REASON: &str = "lies outside the rtos memory";
        let build = self.real("build")?;
        let mut bitbake = build.bitbake();
        bitbake.args(["-c", "micrun_image", "micrun-firmware-hello"]).env("MICRUN_BOARD", "hieulerpi");
        let output = bitbake.output().context("cannot start bitbake")?;
        let said = String::from_utf8_lossy(&output.stdout);
        match said.lines().find(|line| line.contains(REASON)) {
            Some(line) if !output.status.success() => println!("{line}"),
            _ => bail!("firmware that does not fit was not refused:\n{said}"),
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

fn timed<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = run()?;
    println!("{what}: {:.0} s", start.elapsed().as_secs_f32());
    Ok(result)
}
