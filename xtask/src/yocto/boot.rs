//! Boots the root file system that was built, on the board in QEMU: Debian's kernel, micrun's module, and everything else
//! out of the image. The image tests itself (`/etc/test`).

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::amp;
use crate::workspace::Workspace;

/// How long the image may take: an emulated containerd takes half a minute by itself.
const LIMIT: Duration = Duration::from_secs(900);

/// Boots `image`.
///
/// # Errors
/// It does not boot, or its test fails.
pub(super) fn run(workspace: &Workspace, image: &Path) -> Result<()> {
    let count = amp::boot_disk(workspace, image, "qemu-tests/yocto/init", LIMIT)?;
    if count.failed > 0 {
        bail!("the image's test: {count}");
    }
    println!("{count}");
    Ok(())
}
