//! Finds processes quickly: a step lasts milliseconds, and whoever looks at all of `/proc` misses it.

use std::collections::BTreeSet;
use std::fs::{self, File};

use anyhow::Result;
use rustix::fs::{FlockOperation, flock};

/// Where shims put their sockets. Whoever binds one holds a lock on the directory meanwhile.
const SOCKETS: &str = "/run/containerd/s";

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

/// What a process of a shim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    /// Makes the server.
    Starter,
}

/// What `pid` does for container `id`, if it is one of its shim's processes.
pub(super) fn role(pid: u32, id: &str) -> Option<Role> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&str> = arguments.split(|byte| *byte == 0).flat_map(std::str::from_utf8).collect();
    let is_shim = words.first().is_some_and(|program| program.contains("containerd-shim"));
    let is_its = is_shim && words.windows(2).any(|pair| pair == ["-id", id]);
    is_its.then_some(if words.contains(&"start") { Role::Starter } else { Role::Server })
}

/// Whether `pid` is a child of `parent`, and has not ended.
pub(super) fn is_child_of(pid: u32, parent: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is = |name: &str, value: &str| {
        status.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim() == value))
    };
    is("PPid:", &parent.to_string()) && !is("State:", "Z (zombie)")
}

/// Makes every `start` of a shim wait until the value is dropped: one lives for too short to be found by chance.
pub(super) fn hold_starters() -> Result<File> {
    let directory = File::open(SOCKETS)?;
    flock(&directory, FlockOperation::LockExclusive)?;
    Ok(directory)
}
