//! What a container is made of.

use std::fs;

use anyhow::Result;
use tempfile::TempDir;

/// The test RTOS, and the same linked for other memory.
pub const RTOS: &str = "/artifacts/test-rtos.elf";
pub const OTHER_RTOS: &str = "/artifacts/other-rtos.elf";

/// What a container is to be.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub id: &'a str,
    /// Annotations: key and value.
    pub annotations: &'a [(&'a str, &'a str)],
    pub firmware: &'a str,
    /// `client.conf` in the image, if it is to have one.
    pub conf: Option<&'a str>,
    /// The container's command, and where in the image the firmware is.
    pub command: &'a str,
}

impl<'a> Wish<'a> {
    /// The test RTOS under the pedestal that this annotation names.
    pub fn new(id: &'a str, annotations: &'a [(&'a str, &'a str)]) -> Wish<'a> {
        Wish { id, annotations, firmware: RTOS, conf: None, command: "/firmware.elf" }
    }

    /// A bundle like that.
    pub fn bundle(self) -> Result<TempDir> {
        let bundle = TempDir::new()?;
        let rootfs = bundle.path().join("rootfs");
        fs::create_dir_all(rootfs.join("etc/mica"))?;
        fs::copy(self.firmware, rootfs.join(self.command.trim_start_matches('/')))?;
        if let Some(conf) = self.conf {
            fs::write(rootfs.join("etc/mica/client.conf"), conf)?;
        }
        let annotations: Vec<_> =
            self.annotations.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
        let config = format!(
            r#"{{"root":{{"path":"rootfs"}},"process":{{"args":[{:?}]}},"annotations":{{{}}}}}"#,
            self.command,
            annotations.join(",")
        );
        fs::write(bundle.path().join("config.json"), config)?;
        Ok(bundle)
    }
}
