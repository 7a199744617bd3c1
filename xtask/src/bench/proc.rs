//! What `/proc` tells about the cost of a process.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Pid;

/// Proportional set size in KiB: pages shared with other processes count in part.
///
/// # Errors
/// The process is gone.
pub(super) fn pss(pid: Pid) -> Result<f64> {
    number(&directory(pid).join("smaps_rollup"), "Pss:")
}

/// The most memory that it has ever had at once, in KiB.
///
/// # Errors
/// The process is gone.
pub(super) fn peak(pid: u32) -> Result<f64> {
    number(&PathBuf::from(format!("/proc/{pid}/status")), "VmHWM:")
}

/// How many threads it has.
///
/// # Errors
/// The process is gone.
pub(super) fn threads(pid: Pid) -> Result<f64> {
    number(&directory(pid).join("status"), "Threads:")
}

/// How often its threads have been put on a core since they began, whether they slept or were pushed aside.
///
/// # Errors
/// The process is gone.
pub(super) fn switches(pid: Pid) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(directory(pid).join("task"))? {
        let status = thread?.path().join("status");
        // A thread that ends meanwhile takes its count with it.
        if status.exists() {
            sum += number(&status, "voluntary_ctxt_switches:")?;
            sum += number(&status, "nonvoluntary_ctxt_switches:")?;
        }
    }
    Ok(sum)
}

fn directory(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn number(file: &Path, key: &str) -> Result<f64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    value(&text, key).with_context(|| format!("{}: no {key}", file.display()))
}

/// The number behind `key` at the beginning of a line.
fn value(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_key_is_found_at_the_beginning_of_a_line_only() {
        let text =
            "nonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t41\nPss_Anon: 5 kB\nPss: 900 kB\n";
        assert_eq!(value(text, "voluntary_ctxt_switches:"), Some(41.0));
        assert_eq!(value(text, "Pss:"), Some(900.0));
        assert_eq!(value(text, "Threads:"), None);
    }
}
