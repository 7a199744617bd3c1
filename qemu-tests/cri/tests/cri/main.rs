//! Pods under the CRI of every supported containerd: firmware alone, two of them, firmware beside Linux programs; on
//! the host's network and on a bridge. Nothing may be left after any of it.

mod control;
mod crashes;
mod mixed_pod;
mod resources;
mod rtos_pod;
mod sandbox_service;
mod two_rtos_pod;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use cri_tests::Container;

/// How long a container may take to end by itself, in seconds, before it is killed.
const GRACE: i64 = 30;

/// What the kernel knows the namespace in `file` by.
fn namespace(file: &Path) -> Result<u64> {
    Ok(std::fs::metadata(file)?.ino())
}

/// Types a command that ends a firmware; gives its exit status and the reason.
fn end_by(container: &Container<'_>, command: &str) -> Result<(i32, String)> {
    let mut console = container.attach()?;
    console.send(format!("{command}\r").as_bytes())?;
    // What has been typed may be lost if the stream is closed at once.
    container.ended()
}
