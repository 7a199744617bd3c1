//! Where one instance's requests go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{MicadError, Request};

/// The sockets of one instance.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    /// Takes the message that creates an instance.
    pub(super) create: PathBuf,
    /// The instance's own.
    pub(super) own: PathBuf,
    /// A file beside it that says that the instance is ours. micad deletes the whole directory when it starts, so it is
    /// there no longer than the instance.
    pub(super) mark: PathBuf,
}

impl Sockets {
    pub(super) fn new(directory: &Path, name: &str) -> Sockets {
        Sockets {
            create: directory.join("mica-create.socket"),
            own: directory.join(format!("{name}.socket")),
            mark: directory.join(format!("{name}.micrun")),
        }
    }

    /// Sends a command to the instance.
    pub(super) fn command(
        &self,
        command: &str,
        patience: Duration,
        give_up: &dyn Fn() -> bool,
    ) -> Result<String, MicadError> {
        let message = command.as_bytes();
        Request { socket: &self.own, name: command, message, patience, give_up }.send()
    }

    /// Has micad forget the instance, which ends its core; `Ok` if it does not know it.
    pub(super) fn remove(&self, patience: Duration, give_up: &dyn Fn() -> bool) -> Result<(), MicadError> {
        if self.own.exists() {
            self.command("rm", patience, give_up)?;
        }
        self.unmark();
        Ok(())
    }

    /// The instance is gone.
    pub(super) fn unmark(&self) {
        // Missing is fine, and without micad's directory there is nothing to mark.
        let _ = std::fs::remove_file(&self.mark);
    }
}
