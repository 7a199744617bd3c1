//! The end of the process, asked for by Shutdown or ShutdownSandbox.

use std::os::fd::RawFd;
use std::sync::Mutex;

use super::call::Call;

/// Called once, with the descriptor number of the connection that asked for the end.
pub type OnShutdown = Box<dyn FnOnce(RawFd) + Send>;

/// Comes once, whoever asks for it.
pub struct End {
    on_shutdown: Mutex<Option<OnShutdown>>,
}

impl End {
    /// `on_shutdown` must not block, as the answer is sent after it.
    pub fn new(on_shutdown: OnShutdown) -> End {
        End { on_shutdown: Mutex::new(Some(on_shutdown)) }
    }

    /// Lets the process end once the answer on this connection is out.
    pub(super) fn come(&self, call: &Call) {
        if let Some(on_shutdown) = self.on_shutdown.lock().unwrap().take() {
            on_shutdown(call.connection);
        }
    }
}
