//! The core that firmware gets, as Linux sees it.

use std::fs;

use anyhow::{Context, Result};

/// Its number.
pub const CPU: u32 = 3;

/// Whether Linux runs on the core.
pub fn is_online(cpu: u32) -> Result<bool> {
    let path = switch(cpu);
    Ok(fs::read_to_string(&path).context(path)?.trim_end() == "1")
}

/// Takes the core from Linux, or gives it back. `EINVAL` or the like if it does not come back.
pub fn set_online(cpu: u32, online: bool) -> Result<()> {
    let path = switch(cpu);
    fs::write(&path, if online { "1" } else { "0" }).context(path)
}

fn switch(cpu: u32) -> String {
    format!("/sys/devices/system/cpu/cpu{cpu}/online")
}

/// The core, taken from Linux; given back when dropped.
pub struct Offline;

impl Offline {
    /// Takes it.
    pub fn take() -> Result<Offline> {
        set_online(CPU, false)?;
        Ok(Offline)
    }

    /// Gives it back, which fails if it is not off.
    pub fn give_back(self) -> Result<()> {
        set_online(CPU, true)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        if !is_online(CPU).unwrap_or(true) {
            // If it fails, the next test that needs the core says so.
            let _ = set_online(CPU, true);
        }
    }
}
