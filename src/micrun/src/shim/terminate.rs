//! SIGTERM and SIGINT: the host goes down, or somebody ends the shim by hand. A core must not be left to itself.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use crate::pedestal::nursery::Nursery;
use crate::sandbox::Sandbox;
use crate::sys;

/// How long firmware may take to power itself off: less than a service manager waits before it sends SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Signals that are waited for instead of ending the process. To be blocked before the first thread starts: threads
/// inherit it. So would children; `sys::confine` unblocks all signals for them.
fn signals() -> SigSet {
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT])
}

/// Keeps the signals from ending the process.
pub(super) fn block() -> nix::Result<()> {
    signals().thread_block()
}

/// Starts the thread that waits for the signals, and then ends all containers and the process. Their ends are recorded,
/// so `delete` tells them; the rest is cleaned up there too.
pub(super) fn watch(sandbox: Arc<Sandbox>, nursery: Nursery) -> std::io::Result<()> {
    let wait = move || {
        if let Ok(signal) = signals().wait() {
            log::warn!("{signal}: all containers are ended");
        }
        sandbox.end_all(GRACE);
        nursery.exit(0);
    };
    sys::spawn("signals", wait)?;
    Ok(())
}
