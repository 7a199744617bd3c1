//! The pedestals that drive the board's own core.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::container::is_free;
use crate::core::{CPU, is_online};
use crate::module::{MCS, Module, RPROC};
use crate::wish::Wish;

/// Who drives the core.
pub struct Pedestal {
    module: &'static str,
    annotations: &'static [(&'static str, &'static str)],
    /// The name that the core is claimed under.
    pub core: &'static str,
}

pub const OF_MCS: Pedestal =
    Pedestal { module: MCS, annotations: &[("org.openeuler.micrun.ped.pedestal", "mcs")], core: "mcs-3" };
/// Arm's annotation alone.
pub const OF_RPROC: Pedestal =
    Pedestal { module: RPROC, annotations: &[("remoteproc.name", "remoteproc-cpu3")], core: "remoteproc0" };

impl Pedestal {
    /// Loads its module.
    pub fn load(&self) -> Result<Module> {
        Ok(Module::load(self.module, "")?)
    }

    /// The test RTOS on its core.
    pub fn wish<'a>(&'a self, id: &'a str) -> Wish<'a> {
        Wish::new(id, self.annotations)
    }

    /// Everything is as it was before the container.
    pub fn tidy(&self) -> Result<()> {
        ensure!(is_online(CPU)?, "linux does not have its core back");
        ensure!(is_free(self.core)?, "the core is not free");
        let files = fs::read_dir("/lib/firmware")?.count();
        ensure!(files == 0, "{files} files are left in /lib/firmware");
        let core = Path::new("/sys/class/remoteproc").join(self.core);
        if core.exists() {
            let read = |name: &str| fs::read_to_string(core.join(name)).context(core.display().to_string());
            let words = (read("state")?, read("recovery")?);
            ensure!(words == ("offline\n".into(), "enabled\n".into()), "{words:?}");
        }
        Ok(())
    }
}
