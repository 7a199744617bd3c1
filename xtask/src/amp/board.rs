//! The board's device tree: what QEMU says of its machine, the overlay that ships for it, and a second way to its core.

use std::path::{Path, PathBuf};

use anyhow::Result;
use firmware::board::Board;

use crate::boards::{BOARDS, OVERLAYS, Trees};
use crate::workspace::Workspace;

/// Writes it below `directory`, and gives its path.
///
/// # Errors
/// QEMU or the compiler of device trees fails.
pub(super) fn device_tree(workspace: &Workspace, qemu: &Path, directory: &Path) -> Result<PathBuf> {
    let board = Board::read(&workspace.root.join(BOARDS).join("qemu-arm64.toml"))?;
    let mut trees = Trees::of_qemu(&board, qemu, directory)?;
    let overlays = [Path::new(OVERLAYS).join("qemu-arm64-mcs.dtso"), "qemu-tests/amp/remoteproc.dtso".into()];
    for overlay in overlays {
        trees = trees.with(&workspace.root.join(overlay))?;
    }
    Ok(trees.path())
}
