//! Cores that openEuler's daemon micad drives: bare metal, Jailhouse cells, Xen domains, cores of another architecture.

mod client;

use std::path::Path;
use std::time::Duration;

pub use client::MicadError;
use client::Request;

/// Where micad's sockets are.
const DIRECTORY: &str = "/run/mica";
/// What micad takes its time for, a Xen domain's start, is a matter of seconds; others may be before us.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has micad forget an instance, which ends its core; `Ok` if it does not know it.
pub(super) fn remove(name: &str, give_up: &dyn Fn() -> bool) -> Result<(), MicadError> {
    let socket = Path::new(DIRECTORY).join(format!("{name}.socket"));
    if !socket.exists() {
        return Ok(());
    }
    Request { socket: &socket, name: "rm", message: b"rm", patience: PATIENCE, give_up }.send().map(drop)
}
