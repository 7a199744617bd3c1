//! A node of a cluster without the cluster: a containerd with its CRI, the images, and a pod network.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use qemu_tests::{
    Artifacts, Containerd, DEADLINE, Image, Leaks, NETWORKS, Options, PAUSE, Version, busybox, directory,
    wait_for,
};

use crate::api::{ImageSpec, ImageStatusRequest};
use crate::{Bridge, Cri, Network, Pod};

/// Environment variable with the directory of the CNI plugins.
const PLUGINS: &str = "MICRUN_CNI";
/// The namespace in which containerd keeps what is CRI's.
const NAMESPACE: &str = "k8s.io";
/// Sleeps until it is killed.
const PAUSE_SCRIPT: &str = "#!/bin/busybox sh\nexec /bin/busybox sleep 2147483647\n";

/// A containerd that takes pods. Dropping it ends it and whatever is left of its pods.
#[derive(Debug)]
pub struct Node {
    /// The daemon.
    pub containerd: Containerd,
    /// A client of it.
    pub cri: Cri,
    /// Its pod network.
    pub bridge: Bridge,
    before: Leaks,
}

impl Node {
    /// A node with that containerd.
    ///
    /// # Errors
    /// containerd does not start or does not take the images, or there is no bridge.
    pub fn start(version: Version) -> Result<Self> {
        Self::with(version.options())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn with(options: Options) -> Result<Self> {
        let containerd = Containerd::start(&Options { cri: true, cni: Some(directory(PLUGINS)), ..options })?;
        let bridge = Bridge::new(containerd.directory(), &containerd.directory().join(NETWORKS))?;
        let cri = Cri::connect(&containerd.address())?;
        import(&containerd)?;
        for image in [PAUSE, busybox::IMAGE, Artifacts::HELLO] {
            wait_for(&format!("image {image}"), DEADLINE, || has_image(&cri, image).then_some(()))?;
        }
        let before = containerd.leaks();
        Ok(Self { containerd, cri, bridge, before })
    }

    /// Runs a pod by the runtime handler `handler`.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn run_pod(&self, handler: &str, name: &str, network: Network) -> Result<Pod<'_>> {
        Pod::run(&self.cri, handler, name, network, &self.logs())
    }

    /// The directory for logs of a pod.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.containerd.directory().join("logs")
    }

    /// Imports an image archive.
    ///
    /// # Errors
    /// containerd does not take it, or its CRI does not hear of it.
    pub fn import(&self, archive: &Path, image: &str) -> Result<()> {
        self.containerd.ctr(NAMESPACE).import(archive)?;
        wait_for(&format!("image {image}"), DEADLINE, || has_image(&self.cri, image).then_some(()))
    }

    /// Demands that nothing of the pods is left.
    ///
    /// # Errors
    /// What is left, one line each.
    pub fn clean(&self) -> Result<()> {
        let addresses = self.bridge.addresses()?;
        ensure!(addresses.is_empty(), "addresses are still taken: {addresses:?}");
        self.containerd.none_left(&self.before)
    }
}

fn import(containerd: &Containerd) -> Result<()> {
    let ctr = containerd.ctr(NAMESPACE);
    let program = busybox::program();
    let [busybox, pause] = ["busybox.tar", "pause.tar"].map(|name| containerd.directory().join(name));
    busybox::write_image(&program, &busybox)?;
    write_pause(&program, &pause)?;
    for archive in [busybox, pause, Artifacts::from_env().hello()] {
        ctr.import(&archive)?;
    }
    Ok(())
}

fn write_pause(busybox: &Path, archive: &Path) -> Result<()> {
    let mut image = Image::new(PAUSE, "/pause");
    image.file("bin/busybox", &std::fs::read(busybox)?)?;
    image.file("pause", PAUSE_SCRIPT.as_bytes())?;
    for directory in ["dev", "proc", "sys"] {
        image.directory(directory)?;
    }
    image.write(archive)
}

/// containerd's CRI learns of an imported image by an event, a little later.
fn has_image(cri: &Cri, name: &str) -> bool {
    let image = ImageSpec { image: name.to_owned(), ..ImageSpec::default() };
    let request = ImageStatusRequest { image: Some(image), verbose: false };
    let answer = cri.call_images(async |images| images.image_status(request).await);
    answer.is_ok_and(|answer| answer.image.is_some())
}
