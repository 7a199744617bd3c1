//! Builds with the Yocto layer, by real bitbake on trees that the caller has: parsing, `yocto-check-layer`, the tasks of
//! `micrun-image`, and a build that takes compilers and what is not micrun's from the machine and from Debian. What it
//! built is booted, and runs a container.

mod arguments;
mod boot;
mod build;
mod look;
mod prebuilt;
mod toolchain;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use self::arguments::Wish;
use self::tree::{Build, Tree};
use crate::setup::kernel::{BuildRoot, OLDEST};
use crate::sh::Steps;
use crate::workspace::Workspace;
use crate::{dist, setup};

/// A layer that builds with the tools of the machine.
const HOST_TOOLS: &str = "qemu-tests/yocto/meta-host-tools";
/// A layer with the names of openEuler Embedded's tree.
const OPENEULER: &str = "qemu-tests/yocto/meta-openeuler-shape";

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
    let mut steps = Steps::new(dist::STEPS + 8);
    setup::for_yocto()?;
    dist::archive(&workspace, &mut steps)?;
    let directory = workspace.target.join("yocto");
    let downloads = directory.join("downloads");
    steps.next("packing the Rust toolchain as its project does");
    toolchain::pack(&downloads)?;
    steps.next("unpacking Debian's containerd, busybox and kernel headers");
    let prebuilt = prebuilt::unpack(&workspace.tools())?;
    let kernel = OLDEST.root(&workspace.tools())?;
    let tree = Tree { oe_core, bitbake };
    let ground = Ground { tree, workspace, directory, downloads, prebuilt, kernel, wish };
    steps.next("beside openEuler's recipes");
    ground.guest()?;
    steps.next("refusing firmware that does not fit the board");
    ground.refusal()?;
    steps.next("building");
    let image = ground.build()?;
    steps.next("booting the image");
    boot::run(&ground.workspace, &image)?;
    steps.next("the tasks of micrun-image for each machine");
    ground.graphs()?;
    steps.next("the layer by itself: parsing, and what yocto-check-layer says");
    ground.check()?;
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
    /// For modules.
    kernel: BuildRoot,
    wish: Wish,
}

impl Ground {
    /// The repository's layers of these names.
    fn ours(&self, layers: &[&str]) -> Vec<PathBuf> {
        layers.iter().map(|layer| self.workspace.root.join(layer)).collect()
    }

    /// The directory of a build that takes what is not micrun's from the machine and from Debian. [`HOST_TOOLS`] is among
    /// `layers`.
    fn real(&self, name: &str, layers: &[&str], settings: &str) -> Result<Build<'_>> {
        let values = [
            ("DL_DIR", self.downloads.display().to_string()),
            ("MICRUN_PREBUILT", self.prebuilt.display().to_string()),
            ("MICRUN_KERNEL", self.kernel.path.display().to_string()),
            ("MICRUN_KERNEL_RELEASE", self.kernel.release().to_owned()),
        ];
        let values = values.map(|(name, value)| format!("{name} = \"{value}\"\n")).concat();
        let settings = format!("MACHINE ?= \"qemuarm64\"\nDISTRO = \"micrun-test\"\n{values}{settings}");
        Build::new(&self.tree, &self.directory, name, &self.ours(layers), &settings)
    }
}

fn timed<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = run()?;
    println!("{what}: {:.0} s", start.elapsed().as_secs_f32());
    Ok(result)
}
