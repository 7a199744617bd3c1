//! Where the repository is, and where its products go.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::sh;

/// The directories, as cargo tells them.
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// # Errors
    /// Cargo can't read the workspace.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut metadata = sh::cargo();
        metadata.args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"]).arg(manifest);
        let answer: Value = serde_json::from_str(&sh::read(&mut metadata)?)?;
        let directory = |key: &str| answer[key].as_str().map(PathBuf::from).with_context(|| key.to_owned());
        Ok(Self { root: directory("workspace_root")?, target: directory("target_directory")? })
    }

    /// What the harness's `Artifacts` reads.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.target.join("artifacts")
    }

    /// Programs unpacked beside the machine's own.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Cargo at work on this workspace, wherever the caller stands.
    pub(crate) fn cargo(&self) -> std::process::Command {
        let mut cargo = sh::cargo();
        cargo.current_dir(&self.root);
        cargo
    }
}
