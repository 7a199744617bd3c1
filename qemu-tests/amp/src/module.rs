//! Kernel modules: loaded by a test, gone after it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::system::{delete_module, finit_module};

/// The modules that tests load.
const OURS: [&str; 3] = [MCS, RPROC, NO_PSCI];
/// `/dev/mcs`.
pub const MCS: &str = "mcs_provider";
/// The driver of `remoteproc` for PSCI's cores.
pub const RPROC: &str = "psci_rproc";
/// A device tree without PSCI.
pub const NO_PSCI: &str = "no_psci";

/// A loaded module; unloaded when dropped.
pub struct Module {
    name: &'static str,
}

impl Module {
    /// Loads it.
    ///
    /// # Errors
    /// What the kernel says, or the module.
    pub fn load(name: &'static str, parameters: &str) -> io::Result<Module> {
        let file = File::open(format!("/modules/{name}.ko"))?;
        finit_module(&file, &CString::new(parameters)?, 0)?;
        Ok(Module { name })
    }

    /// Unloads it, if the kernel agrees.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn try_unload(name: &str) -> io::Result<()> {
        Ok(delete_module(&CString::new(name)?, rustix::fs::OFlags::NONBLOCK.bits().cast_signed())?)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // The suite looks after each test whether it is gone.
        let _ = Module::try_unload(self.name);
    }
}

/// Unloads what a test has left.
pub fn unload_all() -> Result<()> {
    for name in OURS {
        if is_loaded(name) {
            Module::try_unload(name).with_context(|| format!("unloading {name} after the test"))?;
        }
    }
    Ok(())
}

/// Whether the kernel has it.
pub fn is_loaded(name: &str) -> bool {
    fs::exists(Path::new("/sys/module").join(name)).unwrap_or(false)
}
