//! An ordinary Linux image with a shell: shows that the harness works without micrun, and is what runc runs in the
//! benchmarks.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Ctr, Image};

/// Environment variable with the path of a statically linked busybox.
const BUSYBOX: &str = "MICRUN_BUSYBOX";

/// Name of the image once it is imported.
pub const IMAGE: &str = "localhost/busybox:1";

/// The statically linked busybox of this test run.
///
/// # Panics
/// The tests were not started by `cargo xtask test`.
#[must_use]
pub fn program() -> PathBuf {
    let path = env::var_os(BUSYBOX).map(PathBuf::from).filter(|path| path.is_file());
    path.unwrap_or_else(|| panic!("{BUSYBOX} names no file: run the tests by `cargo xtask test`"))
}

/// Makes [`IMAGE`] known to a containerd.
///
/// # Errors
/// It is not taken.
pub fn import(ctr: &Ctr) -> Result<()> {
    let directory = TempDir::new()?;
    let archive = directory.path().join("busybox.tar");
    write_image(&program(), &archive)?;
    ctr.import(&archive)
}

/// Writes an image archive for the host's platform to `archive`: `/bin/busybox`, and `sh` as its entry point.
///
/// # Errors
/// `busybox` can't be read or `archive` can't be written.
pub fn write_image(busybox: &Path, archive: &Path) -> Result<()> {
    let program = fs::read(busybox).with_context(|| busybox.display().to_string())?;
    let mut image = Image::new(IMAGE, "/bin/sh");
    image.file("bin/busybox", &program)?;
    image.link("bin/sh", "busybox")?;
    // runc mounts over these, and does not make them in a read-only root.
    for directory in ["dev", "proc", "run", "sys"] {
        image.directory(directory)?;
    }
    image.write(archive)
}
