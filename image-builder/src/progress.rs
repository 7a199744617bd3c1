//! A bar on a terminal for work that takes long. Elsewhere nothing is shown.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is done sooner shows no bar.
const TEMPLATE: &str = "{msg:<10} {bytes:>11} of {total_bytes:>11} [{bar:30}] {bytes_per_sec:>13}";
/// Redrawn at most so often per second.
const RATE: u8 = 10;

/// One thing that is being done, of a length in bytes that is known before. The bar goes when the value does.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins; `what` is a word or two. The bar is on standard error, if that is a terminal.
    pub fn new(what: &str, len: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr_with_hz(RATE));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("#>."));
        }
        bar.set_message(what.to_owned());
        Progress(bar)
    }

    /// Some more is done.
    pub fn add(&self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    /// It begins anew.
    pub fn restart(&self) {
        self.0.set_position(0);
        self.0.reset_eta();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
