//! What every measured container needs: programs, a root file system, a specification, an end for events.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use firmware::{annotation, layout};
use qemu_tests::Artifacts;
use rustix::process::{getpid, set_child_subreaper};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::driver::{NAMESPACE, Runtime};
use super::events::Sink;
use crate::build;
use crate::setup::{self, Tools};
use crate::sh::{self, Steps};
use crate::workspace::Workspace;

/// The shim that everyone has.
pub(super) const PEER: &str = "containerd-shim-runc-v2";

/// Everything that is made once for all groups.
pub(super) struct Stage {
    pub(super) artifacts: Artifacts,
    pub(super) tools: Tools,
    pub(super) events: Sink,
    directory: TempDir,
    /// What `runc spec` makes.
    spec: Value,
    /// The shim with a core without a core, which never ships.
    fake: PathBuf,
    names: Cell<u32>,
}

impl Stage {
    /// Builds and prepares everything.
    ///
    /// # Errors
    /// The caller is not root, or something does not build or can't be had.
    pub(super) fn build(workspace: &Workspace) -> Result<Self> {
        if !sh::is_root() {
            bail!("containers need root: run the benchmarks as root, or the group `size` only");
        }
        let mut steps = Steps::new(build::STEPS + 3);
        steps.next("looking for what is missing");
        let tools = setup::for_tests(workspace)?;
        let artifacts = build::all(workspace, &mut steps)?;
        steps.next("building the shim with the fake core");
        let fake = build::fake_shim(workspace)?;
        steps.next("preparing a root file system");
        let directory = tempfile::Builder::new().prefix("micrun-bench.").tempdir()?;
        make_rootfs(&rootfs(directory.path()), &artifacts, &tools.busybox)?;
        let spec = specification(directory.path())?;
        let events = Sink::serve(&event_socket(directory.path()))?;
        // A shim's server loses its parent at once; whoever wants to see it end, and what it cost, adopts it.
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { artifacts, tools, events, directory, spec, fake, names: Cell::new(0) })
    }

    /// The test RTOS on an emulated core, under the shim that ships.
    pub(super) fn hello(&self) -> Runtime {
        let mut spec = self.spec.clone();
        spec["process"]["args"] = json!([layout::FIRMWARE]);
        Runtime { program: self.artifacts.shim(), spec }
    }

    /// The test RTOS, hardly touched: the core is a fake, so that what is measured is the shim.
    pub(super) fn fake(&self) -> Runtime {
        let mut spec = self.spec.clone();
        spec["annotations"] = json!({ annotation::PEDESTAL: "fake" });
        Runtime { program: self.fake.clone(), spec }
    }

    /// `busybox arguments...` under Debian's runc shim.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn busybox(&self, arguments: &[&str]) -> Result<Runtime> {
        let mut spec = self.spec.clone();
        spec["process"]["args"] = ["/bin/busybox"].iter().chain(arguments).copied().collect();
        Ok(Runtime { program: sh::find(PEER)?, spec })
    }

    /// Where bundles are made.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The root file system of every container.
    pub(super) fn rootfs(&self) -> PathBuf {
        rootfs(self.directory())
    }

    /// Where shims send their events.
    pub(super) fn event_socket(&self) -> PathBuf {
        event_socket(self.directory())
    }

    /// An id that no other container on the machine has.
    pub(super) fn new_id(&self) -> String {
        self.names.set(self.names.get() + 1);
        format!("bench-{}-{}", std::process::id(), self.names.get())
    }
}

fn rootfs(stage: &Path) -> PathBuf {
    stage.join("rootfs")
}

fn event_socket(stage: &Path) -> PathBuf {
    stage.join("events")
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Debian's shim makes it for runc and leaves it. It stays if it is not empty: another run is using it.
        let _ = fs::remove_dir(Path::new("/run/containerd/runc").join(NAMESPACE));
    }
}

/// One root file system for all: busybox for runc, the firmware for micrun.
fn make_rootfs(root: &Path, artifacts: &Artifacts, busybox: &Path) -> Result<()> {
    for directory in ["bin", "dev", "proc", "sys"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::copy(busybox, root.join("bin/busybox"))?;
    fs::copy(artifacts.rtos(), root.join(layout::FIRMWARE.trim_start_matches('/')))?;
    Ok(())
}

/// runc's own example, without a terminal.
fn specification(directory: &Path) -> Result<Value> {
    sh::read(sh::command("runc").arg("spec").current_dir(directory))?;
    let text = fs::read(directory.join("config.json")).context("the file that runc makes")?;
    let mut spec: Value = serde_json::from_slice(&text)?;
    spec["process"]["terminal"] = json!(false);
    Ok(spec)
}
