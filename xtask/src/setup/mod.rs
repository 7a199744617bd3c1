//! Brings a fresh Debian 12 to where the demo and the tests run.

mod apt;
mod busybox;
mod daemons;
pub(crate) mod guest;
pub(crate) mod kernel;
pub(crate) mod kernel_source;
pub(crate) mod layer;
pub(crate) mod private;
mod qemu;
pub(crate) mod rustup;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::no_arguments;
use crate::workspace::Workspace;

/// What the tests run beside the artifacts; all of it is there.
pub(crate) struct Tools {
    /// The QEMU that a container gets unless a test says otherwise.
    pub(crate) qemu: PathBuf,
    /// QEMU as in Debian 12.
    pub(crate) qemu_7: PathBuf,
    /// QEMU as in Debian 13, built for Debian 12.
    pub(crate) qemu_10: PathBuf,
    /// A statically linked busybox.
    pub(crate) busybox: PathBuf,
    /// Directory of containerd 1.7, its `ctr` and its shims.
    pub(crate) containerd_1_7: PathBuf,
    /// Directory of containerd 2, its `ctr` and its shims.
    pub(crate) containerd_2_1: PathBuf,
    /// Directory with Docker's `sbin/dockerd` and `bin/docker`.
    pub(crate) docker: PathBuf,
    /// Directory of the CNI plug-ins.
    pub(crate) cni: PathBuf,
    /// Directory of a registry, `docker-registry`.
    pub(crate) registry: PathBuf,
}

impl Tools {
    /// How the harness and the tests learn of them.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 9] {
        [
            ("MICRUN_QEMU", self.qemu.clone()),
            ("MICRUN_QEMU_7", self.qemu_7.clone()),
            ("MICRUN_QEMU_10", self.qemu_10.clone()),
            ("MICRUN_BUSYBOX", self.busybox.clone()),
            ("MICRUN_CONTAINERD_1_7", self.containerd_1_7.clone()),
            ("MICRUN_CONTAINERD_2_1", self.containerd_2_1.clone()),
            ("MICRUN_DOCKER", self.docker.clone()),
            ("MICRUN_CNI", self.cni.clone()),
            ("MICRUN_REGISTRY", self.registry.clone()),
        ]
    }
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let tools = for_tests(&Workspace::find()?)?;
    for (name, path) in tools.variables() {
        println!("{name}={}", path.display());
    }
    println!("everything is in place");
    Ok(ExitCode::SUCCESS)
}

/// What building needs.
pub(crate) fn for_build() -> Result<()> {
    apt::compiler()?;
    rustup::add_missing()
}

/// What the benchmarks of the image builder need; gives the directory of a registry.
pub(crate) fn for_image_bench(workspace: &Workspace) -> Result<PathBuf> {
    for_build()?;
    apt::image_peers()?;
    daemons::REGISTRY.copy(&workspace.tools())
}

/// What building and the demo need; gives the QEMU to use.
pub(crate) fn for_demo(workspace: &Workspace) -> Result<PathBuf> {
    apt::install_missing()?;
    for_build()?;
    match qemu::of_the_machine() {
        Some(qemu) => Ok(qemu),
        None => qemu::GENERATION_7.copy(&workspace.tools()),
    }
}

/// What the tests need.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<Tools> {
    let tools = workspace.tools();
    let qemu = for_demo(workspace)?;
    apt::image_tools()?;
    apt::debugger()?;
    // The board in QEMU: its kernel, what builds modules for it, and the source of those that Debian leaves out.
    let root = kernel::OLDEST.root(&tools)?;
    guest::Guest::of_release(&tools, root.release())?;
    kernel_source::parts(&tools, &root)?;
    Ok(Tools {
        qemu,
        qemu_7: qemu::GENERATION_7.copy(&tools)?,
        qemu_10: qemu::GENERATION_10.copy(&tools)?,
        busybox: busybox::copy(&tools)?,
        containerd_1_7: daemons::CONTAINERD_1_7.copy(&tools)?,
        containerd_2_1: daemons::CONTAINERD_2_1.copy(&tools)?,
        docker: daemons::DOCKER.copy(&tools)?,
        cni: daemons::CNI.copy(&tools)?,
        registry: daemons::REGISTRY.copy(&tools)?,
    })
}

/// What bitbake demands of the machine, and what takes the place of packages that it would build.
const FOR_BITBAKE: [&str; 27] = [
    "apt-utils",
    "bzip2",
    "chrpath",
    "cpio",
    "device-tree-compiler",
    "diffstat",
    "e2fsprogs",
    "file",
    "g++",
    "gawk",
    "gcc",
    "gcc-aarch64-linux-gnu",
    "git",
    "libc6-dev",
    "libc6-dev-arm64-cross",
    "locales",
    "lz4",
    "make",
    "patch",
    "perl",
    "python3",
    "rpcsvc-proto",
    "texinfo",
    "unzip",
    "wget",
    "xz-utils",
    "zstd",
];

/// What a build by bitbake needs.
pub(crate) fn for_yocto() -> Result<()> {
    for_build()?;
    apt::install(&FOR_BITBAKE)
}
