//! How large the shim is on disk: it is installed on boards whose whole root file system is a few megabytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Measurement, Unit};
use crate::setup::{self, rustup};
use crate::workspace::Workspace;
use crate::{build, sh};

/// Budget for one binary: 1 MiB.
const BUDGET: f64 = 1024.0 * 1024.0;

/// The shim that everyone has: Go's peer, in the machine's own architecture only.
const PEER: &str = "containerd-shim-runc-v2";

/// Builds the shim as it ships for the machine and for the boards.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    setup::for_build()?;
    let host = rustup::host();
    let own = measure(workspace, &host)?.peer(PEER, &[size(&sh::find(PEER)?)?])?;
    let board = (host != rustup::BOARD).then(|| measure(workspace, rustup::BOARD));
    Ok([Some(own), board.transpose()?].into_iter().flatten().collect())
}

fn measure(workspace: &Workspace, target: &str) -> Result<Measurement> {
    let shim = build::shim(workspace, target)?;
    let what = format!("containerd-shim-mica-v2, {target}");
    Ok(Measurement::new(&what, Unit::Bytes, &[size(&shim)?])?.budget(BUDGET))
}

fn size(program: &Path) -> Result<f64> {
    let bytes = fs::metadata(program).with_context(|| program.display().to_string())?.len();
    // Exact below 2^53 bytes.
    #[expect(clippy::cast_precision_loss)]
    Ok(bytes as f64)
}
