//! Standard output as channels use it: one that fails is given up, and the container goes on.

use crate::console::Console;

/// Tries to get rid of what standard output did not take before; true if it still does not.
pub(super) fn blocked(console: &mut Console) -> bool {
    let Some(output) = &mut console.output else { return false };
    match output.flush() {
        Ok(()) => output.blocked(),
        Err(error) => {
            give_up_output(console, &error);
            false
        }
    }
}

/// Passes bytes on to standard output, or keeps what it does not take now.
pub(super) fn print(console: &mut Console, bytes: &[u8]) {
    let Some(output) = &mut console.output else { return };
    if let Err(error) = output.write(bytes) {
        give_up_output(console, &error);
    }
}

fn give_up_output(console: &mut Console, error: &std::io::Error) {
    log::warn!("stdout: {error}; further output is dropped");
    console.output = None;
}
