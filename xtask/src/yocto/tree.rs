//! Bitbake on the caller's trees, in a build directory of this task's own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::sh;

/// The trees.
pub(super) struct Tree {
    pub(super) oe_core: PathBuf,
    pub(super) bitbake: PathBuf,
}

/// A build directory.
pub(super) struct Build<'a> {
    tree: &'a Tree,
    directory: PathBuf,
}

/// Every build's settings. Trees are looked at with what is at hand: nothing is fetched.
const COMMON: &str = "CONF_VERSION = \"2\"\nBB_NUMBER_THREADS = \"2\"\nBB_NUMBER_PARSE_THREADS = \"2\"\n\
                      BB_NO_NETWORK = \"1\"\nBB_SERVER_TIMEOUT = \"0\"\n";

impl<'a> Build<'a> {
    /// One of this name below `parent`, with `layers` beside openembedded-core's and `settings` in its `local.conf`.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn new(
        tree: &'a Tree,
        parent: &Path,
        name: &str,
        layers: &[PathBuf],
        settings: &str,
    ) -> Result<Self> {
        let directory = parent.join(name);
        let configuration = directory.join("conf");
        fs::create_dir_all(&configuration)?;
        let layers: String = layers.iter().map(|layer| format!(" {}", layer.display())).collect();
        let core = tree.oe_core.join("meta");
        fs::write(
            configuration.join("bblayers.conf"),
            format!("BBPATH = \"${{TOPDIR}}\"\nBBFILES ?= \"\"\nBBLAYERS = \"{}{layers}\"\n", core.display()),
        )?;
        fs::write(configuration.join("local.conf"), format!("{COMMON}{settings}"))?;
        // An empty one takes the place of openembedded-core's checks, which refuse root.
        fs::write(configuration.join("sanity.conf"), "")?;
        Ok(Self { tree, directory })
    }

    pub(super) fn bitbake(&self) -> Command {
        self.program(&self.tree.bitbake.join("bin/bitbake"))
    }

    /// A program of the trees in this directory. It gets nothing of the caller's environment that could matter.
    pub(super) fn program(&self, program: &Path) -> Command {
        let [bitbake, scripts] = [self.tree.bitbake.join("bin"), self.tree.oe_core.join("scripts")];
        let path = format!(
            "{}:{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            bitbake.display(),
            scripts.display()
        );
        let mut command = sh::command("nice");
        command.args(["-n", "15"]).arg(program).current_dir(&self.directory).env_clear();
        command.env("PATH", path).env("HOME", &self.directory).env("LC_ALL", "C.UTF-8");
        command.env("BBPATH", &self.directory).env("BUILDDIR", &self.directory);
        command.env("BB_ENV_PASSTHROUGH_ADDITIONS", "MACHINE MICRUN_BOARD");
        command
    }

    /// The recipes that take part in building `targets` for `machine`.
    ///
    /// # Errors
    /// Something that they need is not there.
    pub(super) fn recipes(&self, machine: &str, targets: &[&str]) -> Result<BTreeSet<String>> {
        sh::run(self.bitbake().arg("--graphviz").args(targets).env("MACHINE", machine))?;
        let list = fs::read_to_string(self.directory.join("pn-buildlist"))?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// A variable of a recipe that is a path.
    ///
    /// # Errors
    /// Bitbake does not know it.
    pub(super) fn value(&self, recipe: &str, variable: &str) -> Result<PathBuf> {
        let mut ask = self.program(&self.tree.bitbake.join("bin/bitbake-getvar"));
        let value = sh::read(ask.args(["--quiet", "--value", "--recipe", recipe, variable]))?;
        Ok(PathBuf::from(value.trim()))
    }

    /// Where images are deployed.
    ///
    /// # Errors
    /// As [`Build::value`].
    pub(super) fn deployed(&self) -> Result<PathBuf> {
        self.value("micrun-rootfs", "DEPLOY_DIR_IMAGE")
    }
}
