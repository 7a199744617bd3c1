//! Finds processes quickly: a step lasts milliseconds, and whoever looks at all of `/proc` misses it.

use std::collections::BTreeSet;
use std::fs;

/// The processes that were there when this was made.
pub(super) struct Known(BTreeSet<u32>);

impl Known {
    pub(super) fn now() -> Self {
        Self(pids().collect())
    }

    /// The processes that have come since and that `is` says yes to.
    pub(super) fn newcomers(&self, is: impl Fn(u32) -> bool) -> Vec<u32> {
        pids().filter(|pid| !self.0.contains(pid) && is(*pid)).collect()
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether `pid` is a shim's process for container `id`: `start`, or the server that it makes.
pub(super) fn is_shim_of(pid: u32, id: &str) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
    let program = words.first().is_some_and(|name| name.windows(15).any(|part| part == b"containerd-shim"));
    program && words.windows(2).any(|pair| pair == [b"-id", id.as_bytes()])
}

/// Whether `pid` is a child of `parent`, and has not ended.
pub(super) fn is_child_of(pid: u32, parent: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is = |name: &str, value: &str| {
        status.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim() == value))
    };
    is("PPid:", &parent.to_string()) && !is("State:", "Z (zombie)")
}
