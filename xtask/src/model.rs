//! The model checker on the order of the rings' accesses.

use std::process::Command;

use crate::workspace::Workspace;

/// The test, in a target directory of its own: every crate is built anew for `cfg(loom)`.
pub(crate) fn test(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "-p", "rigs", "--test", "ring_order", "--target-dir"])
        .arg(workspace.target.join("loom"));
    cargo.env("RUSTFLAGS", "--cfg loom");
    cargo
}
