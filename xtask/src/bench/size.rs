//! How large the shim is on disk: it is installed on boards whose whole root file system is a few megabytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::stage::PEER;
use super::{Measurement, Unit};
use crate::setup::{self, rustup};
use crate::workspace::Workspace;
use crate::{build, sh};

/// Budget for one binary: 1 MiB.
const BUDGET: f64 = 1024.0 * 1024.0;

/// Builds the shim as it ships for the machine and for the boards, and the image builder.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    setup::for_build()?;
    let host = rustup::host();
    let own = measure(workspace, &host)?.peer(PEER, &[size(&sh::find(PEER)?)?])?;
    let board = (host != rustup::BOARD).then(|| measure(workspace, rustup::BOARD));
    Ok([Some(own), board.transpose()?, Some(builder(workspace)?)].into_iter().flatten().collect())
}

fn measure(workspace: &Workspace, target: &str) -> Result<Measurement> {
    let shim = build::shim(workspace, target)?;
    let what = format!("containerd-shim-mica-v2, {target}");
    Ok(Measurement::new(&what, Unit::Bytes, &[size(&shim)?])?.budget(BUDGET))
}

/// It runs where images are made, not on a board: no budget.
fn builder(workspace: &Workspace) -> Result<Measurement> {
    Measurement::new("micrun-image-builder", Unit::Bytes, &[size(&build::builder(workspace)?)?])
}

fn size(program: &Path) -> Result<f64> {
    let bytes = fs::metadata(program).with_context(|| program.display().to_string())?.len();
    // Exact below 2^53 bytes.
    #[expect(clippy::cast_precision_loss)]
    Ok(bytes as f64)
}
