//! A statically linked busybox: what runc runs in the harness's own tests and in the benchmarks.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::private::{PrivateApt, STABLE, remove_if_there};
use crate::sh;

/// The private copy below `tools`, which is made if it is not there. It is not installed because Debian's two
/// busyboxes exclude each other.
///
/// # Errors
/// The package is not to be had, or what it holds does not run here.
pub(super) fn copy(tools: &Path) -> Result<PathBuf> {
    let root = tools.join("busybox");
    let program = root.join("bin/busybox");
    if !sh::works(&program, &["true"]) {
        println!("unpacking a private copy of busybox");
        remove_if_there(&root)?;
        PrivateApt::open(tools, &[STABLE])?.unpack(&["busybox-static"], STABLE, &root)?;
    }
    if !sh::works(&program, &["true"]) {
        bail!("{}: does not run here", program.display());
    }
    Ok(program)
}
