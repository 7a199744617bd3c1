//! The one place where anything waits by asking again and again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// First pause between two questions. It doubles up to [`LONGEST_PAUSE`], so short waits stay short.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause between two questions: what a wait may be late by.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks `ready` until it answers with a value.
///
/// # Errors
/// `what` did not happen within `deadline`; `ready` is asked at least once, and once more at the deadline.
pub fn wait_for<T>(what: &str, deadline: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        if let Some(value) = ready() {
            return Ok(value);
        }
        if left.is_zero() {
            bail!("{what}: not within {deadline:?}");
        }
        thread::sleep(pause.min(left));
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
