//! A pod network of the test's own: a bridge of its own with a subnet of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::{DEADLINE, busybox, run};
use serde_json::json;

/// How many bridges may be there at once on one machine.
const BRIDGES: u8 = 64;

/// A bridge, and a network configuration that puts pods on it. Dropping it removes the bridge.
#[derive(Debug)]
pub struct Bridge {
    number: u8,
    /// One file for each address that is taken, below a directory with the network's name.
    addresses: PathBuf,
}

impl Bridge {
    /// Makes a bridge that nobody else has, and writes the configuration to `directory` of the containerd in
    /// `instance`. Addresses are kept there too.
    ///
    /// # Errors
    /// There are too many bridges, or the file can't be written.
    pub fn new(instance: &Path, directory: &Path) -> Result<Self> {
        let number = (0..BRIDGES).find(|&number| claim(&name(number), instance));
        let number = number.with_context(|| format!("{BRIDGES} bridges are there, or none can be made"))?;
        let bridge = Self { number, addresses: directory.join("addresses") };
        ip(&["link", "set", &name(number), "up"])?;
        fs::create_dir_all(directory)?;
        let list = json!({
            "cniVersion": "0.4.0",
            "name": name(number),
            "plugins": [{
                "type": "bridge",
                "bridge": name(number),
                "ipam": {
                    "type": "host-local",
                    "subnet": bridge.subnet(),
                    "dataDir": bridge.addresses,
                },
            }],
        });
        fs::write(directory.join("10-bridge.conflist"), serde_json::to_vec(&list)?)?;
        Ok(bridge)
    }

    /// Addresses that pods on it have.
    ///
    /// # Errors
    /// The plug-in's directory can't be read.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let directory = self.addresses.join(name(self.number));
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let names = fs::read_dir(directory)?.flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        Ok(names.filter(|name| name.starts_with(&self.prefix())).collect())
    }

    /// First three numbers of every address on it, with the dot.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("10.213.{}.", self.number)
    }

    fn subnet(&self) -> String {
        format!("{}0/24", self.prefix())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Err(error) = ip(&["link", "delete", &name(self.number)]) {
            eprintln!("{}: cannot remove: {error:#}", name(self.number));
        }
    }
}

fn name(number: u8) -> String {
    format!("micrun-test{number}")
}

/// Takes a name that is free, or whose owner has died without removing the bridge.
fn claim(name: &str, instance: &Path) -> bool {
    make(name, instance) || (is_orphan(name) && ip(&["link", "delete", name]).is_ok() && make(name, instance))
}

/// Making a link is what decides who has its name; its alias says who that is.
fn make(name: &str, instance: &Path) -> bool {
    ip(&["link", "add", name, "type", "bridge"]).is_ok()
        && fs::write(alias(name), instance.as_os_str().as_encoded_bytes()).is_ok()
}

/// One without an alias was made this moment.
fn is_orphan(name: &str) -> bool {
    let owner = fs::read_to_string(alias(name)).unwrap_or_default();
    !owner.is_empty() && !Path::new(owner.trim_end()).exists()
}

fn alias(name: &str) -> PathBuf {
    Path::new("/sys/class/net").join(name).join("ifalias")
}

/// Busybox has an `ip` too, and is there on a minimal machine.
fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new(busybox::program()).arg("ip").args(arguments), DEADLINE)?.ok().map(drop)
}
