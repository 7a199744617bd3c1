//! A registry of the caller's own: Debian's, with nothing in it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Result;
use tempfile::TempDir;

use crate::{DEADLINE, wait_for};

/// A registry on a port of this machine, without TLS. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    host: String,
    _store: TempDir,
}

impl Registry {
    /// Starts the `docker-registry` of a directory and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(programs: &Path) -> Result<Registry> {
        let store = tempfile::tempdir()?;
        // Free a moment ago, which is all that a port can be known to be.
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let root = store.path().join("blobs");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: {host} }}\n",
            root.display()
        );
        let file = store.path().join("config.yml");
        fs::write(&file, config)?;
        let mut serve = Command::new(programs.join("docker-registry"));
        serve.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Registry { child: serve.spawn()?, host, _store: store };
        wait_for("the registry", DEADLINE, || TcpStream::connect(&registry.host).ok())?;
        Ok(registry)
    }

    /// Its address and port, as in names of images.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has no state that matters.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
