//! What bitbake says without building: whether the layer parses, and what would be built.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::tree::Build;
use super::{Ground, HOST_TOOLS, OPENEULER, timed};
use crate::layer::LAYER;
use crate::sh;

/// What switches the layer on.
const FEATURE: &str = "DISTRO_FEATURES:append = \" micrun\"\nMACHINE ?= \"qemuarm64\"\n";
/// What the kas files set besides, and the switch of openEuler's recipes.
const IMAGE: &str = "INIT_MANAGER = \"systemd\"\nDISTRO_FEATURES:append = \" virtualization seccomp\"\n\
                     LICENSE_FLAGS_ACCEPTED += \"synaptics-killswitch\"\n\
                     MCS_FEATURES:hieulerpi1 = \"openamp\"\nMCS_FEATURES:ok3568 = \"openamp\"\n";
/// Machines of the layer's own, of openembedded-core, and of openEuler's tree; others come with their layers.
const MACHINES: [&str; 4] = ["micrun-qemu-arm64", "qemuarm64", "hieulerpi1", "ok3568"];

/// Recipes that the images and their SDK consist of, among others.
const NEEDED: [&str; 5] = [
    "micrun-shim",
    "micrun-conf",
    "micrun-preload",
    "micrun-image-builder",
    "nativesdk-micrun-image-builder",
];

/// An application of meta-zephyr beside the board's Linux.
const ZEPHYR: &str = "BBMULTICONFIG = \"micrun-zephyr\"\nMICRUN_ZEPHYR_PROVIDER = \"zephyr-philosophers\"\n";

/// openEuler's tree with its shim in Go.
const MCS: &str = "DISTRO_FEATURES:append = \" mcs containerd\"\nMCS_FEATURES = \"openamp micrun\"\n";
/// What in [`HOST_TOOLS`] needs the layer.
const WITHOUT_LAYER: &str = "BBMASK += \"misfit-firmware /micrun-[^/]*bbappend\"\n";
const FEATURE_OFF: &str = "DISTRO_FEATURES:remove = \"micrun\"\n";

impl Ground {
    /// What `yocto-check-layer` says: of the layer's own recipes, and of those of openembedded-core, which it must not change.
    pub(super) fn check(&self) -> Result<()> {
        if !self.wish.check_layer {
            println!("skipped: --check-layer asks for it, and it takes long");
            return Ok(());
        }
        let on = self.real("check-own", &[HOST_TOOLS], WITHOUT_LAYER)?;
        timed("yocto-check-layer, feature on", || self.check_layer(&on))?;
        let off = Build::new(&self.tree, &self.directory, "check", &[], "MACHINE = \"qemuarm64\"\n")?;
        timed("yocto-check-layer, every recipe", || self.check_layer(&off))
    }

    /// The program adds the layer to the build's by itself.
    fn check_layer(&self, build: &Build) -> Result<()> {
        let mut program = build.program(&self.tree.oe_core.join("scripts/yocto-check-layer"));
        program.arg("--no-auto-dependency").args(self.ours(&[LAYER]));
        sh::run(&mut program)
    }

    /// The tasks of the images on every machine.
    pub(super) fn graphs(&self) -> Result<()> {
        if !self.has_layer("virt") {
            println!("skipped: micrun-image needs containerd, and no --layer names meta-virtualization");
            return Ok(());
        }
        let layers = [self.ours(&[LAYER, OPENEULER]), self.wish.layers.clone()].concat();
        let graph = Build::new(&self.tree, &self.directory, "graph", &layers, &[FEATURE, IMAGE].concat())?;
        for machine in MACHINES.iter().copied().chain(self.wish.machines.iter().map(String::as_str)) {
            let images = ["micrun-image", "micrun-image-dev", "micrun-image:do_populate_sdk"];
            let recipes = timed(machine, || graph.recipes(machine, &images))?;
            for needed in NEEDED {
                ensure!(recipes.contains(needed), "{machine}: the images and their SDK have no {needed}");
            }
        }
        self.zephyr(&layers)
    }

    /// The application is built in its own configuration, and packed in the board's.
    fn zephyr(&self, layers: &[PathBuf]) -> Result<()> {
        if !self.has_layer("zephyr") {
            println!("skipped: no --layer names meta-zephyr");
            return Ok(());
        }
        let settings = [FEATURE, IMAGE, ZEPHYR].concat();
        let build = Build::new(&self.tree, &self.directory, "zephyr", layers, &settings)?;
        let recipes = timed("Zephyr", || build.recipes(MACHINES[0], &["micrun-firmware-zephyr"]))?;
        ensure!(
            recipes.contains("mc:micrun-zephyr:zephyr-philosophers"),
            "Zephyr is not built for its image"
        );
        Ok(())
    }

    fn has_layer(&self, name: &str) -> bool {
        self.wish.layers.iter().any(|layer| layer.to_string_lossy().contains(name))
    }

    /// In openEuler's tree: its shim where the feature is off, ours where it is on, never both; and its firmware.
    pub(super) fn guest(&self) -> Result<()> {
        let off = self.real("guest-off", &[LAYER, HOST_TOOLS, OPENEULER], &[MCS, FEATURE_OFF].concat())?;
        let recipes = off.recipes("qemu-aarch64", &["packagegroup-mcs"])?;
        ensure!(recipes.contains("micrun"), "openEuler's shim is not built where the feature is off");
        ensure!(!recipes.contains("micrun-shim"), "the layer takes part where the feature is off");
        let on = self.real("guest-on", &[LAYER, HOST_TOOLS, OPENEULER], MCS)?;
        let targets = [
            "packagegroup-mcs",
            "packagegroup-micrun",
            "micrun-firmware-zephyr",
            "micrun-firmware-uniproton",
        ];
        for machine in ["qemu-aarch64", "hieulerpi1", "ok3568"] {
            let recipes = on.recipes(machine, &targets)?;
            for needed in ["micrun-shim", "mcsctl", "zephyr-image"] {
                ensure!(recipes.contains(needed), "{machine}: {needed} is not built where the feature is on");
            }
            ensure!(!recipes.contains("micrun"), "{machine}: openEuler's shim is built beside ours");
        }
        println!("one shim is built: openEuler's where the feature is off, ours where it is on");
        Ok(())
    }
}
