//! What a micad needs around it: directories, a node, and a program that plays `xl`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::{Micad, Node, Options};

/// Plays Xen's tool: domains are files.
const XL: &str = r#"#!/bin/sh
echo "xl $*" >> NODE/xl.log
domain="NODE/domains/$2"
case "$1" in
domid) test -e "$domain" ;;
pause) test -e "$domain" && echo paused > "$domain" ;;
unpause) test -e "$domain" && echo running > "$domain" ;;
destroy) rm "$domain" ;;
*) exit 2 ;;
esac
"#;

/// A directory with all of it. It goes when this is dropped.
pub struct Ground {
    /// The cores, which outlive every micad.
    pub node: Arc<Node>,
    directory: TempDir,
}

impl Ground {
    /// A node without anything on it.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn new() -> io::Result<Ground> {
        Ground::with(false)
    }

    /// The same, with firmware that cannot power its core off if it is `deaf`.
    ///
    /// # Errors
    /// As [`Ground::new`].
    pub fn with(deaf: bool) -> io::Result<Ground> {
        // Short, as sockets' paths have to be.
        let directory = tempfile::Builder::new().prefix("micad.").tempdir_in("/tmp")?;
        let node = Node::with(&directory.path().join("domains"), deaf)?;
        Ok(Ground { node, directory })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Something in the directory: a file of the test's own, or `mica` (sockets), `dev` (terminals), `domains`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A prompt micad of the default build, here.
    #[must_use]
    pub fn options(&self) -> Options {
        Options::new(self.path("mica"), self.path("dev"))
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`Micad::start`].
    pub fn micad(&self, options: Options) -> io::Result<Micad> {
        Micad::start(options, self.node.clone())
    }

    /// Makes a program that plays `xl`; gives its directory, which is to be in the `PATH` of the shim.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn xl(&self) -> io::Result<PathBuf> {
        let bin = self.path("bin");
        fs::create_dir(&bin)?;
        let program = bin.join("xl");
        fs::write(&program, XL.replace("NODE", &self.directory.path().display().to_string()))?;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
        Ok(bin)
    }

    /// What it was called with, one line for each call.
    #[must_use]
    pub fn xl_log(&self) -> String {
        fs::read_to_string(self.path("xl.log")).unwrap_or_default()
    }
}
