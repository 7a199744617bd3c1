//! What the kernel holds a process to: the CPUs that its threads may use, and the memory of its control group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const GROUPS: &str = "/sys/fs/cgroup";

/// The CPUs that this machine lets us have, as a list.
///
/// # Errors
/// The kernel does not say.
pub fn all_cpus() -> Result<String> {
    allowed(Path::new("/proc/self")).context("no Cpus_allowed_list")
}

/// The first and the last of them; the same one if there is only one.
///
/// # Errors
/// As [`all_cpus`].
pub fn two_cpus() -> Result<[String; 2]> {
    let all = all_cpus()?;
    let number = |end: Option<&str>| end.map(str::to_owned).context("an empty list");
    Ok([number(all.split([',', '-']).next())?, number(all.rsplit([',', '-']).next())?])
}

/// The CPUs that each thread of a process may use, as lists.
///
/// # Errors
/// It does not run.
pub fn cpus_of(pid: u32) -> Result<Vec<String>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
    // A thread may end between two looks.
    Ok(threads.filter_map(|thread| allowed(&thread.ok()?.path())).collect())
}

/// From the directory of a process or thread in `/proc`.
fn allowed(directory: &Path) -> Option<String> {
    let status = fs::read_to_string(directory.join("status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix("Cpus_allowed_list:")?.trim().to_owned()))
}

/// The control group that limits a process's memory, of either version.
#[derive(Debug)]
pub struct MemoryGroup {
    directory: PathBuf,
    unified: bool,
}

impl MemoryGroup {
    /// That of a process.
    ///
    /// # Errors
    /// It does not run, or memory is not limited by control groups here.
    pub fn of(pid: u32) -> Result<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let unified = Path::new(GROUPS).join("cgroup.controllers").exists();
        let path = |line: &str| {
            let (_, rest) = line.split_once(':')?;
            let (kind, path) = rest.split_once(':')?;
            let hierarchy = if unified { "" } else { "memory" };
            (kind == hierarchy).then(|| Path::new(GROUPS).join(kind).join(path.trim_start_matches('/')))
        };
        let directory = groups.lines().find_map(path).with_context(|| groups.clone())?;
        Ok(Self { directory, unified })
    }

    /// Most bytes that all of it may have.
    ///
    /// # Errors
    /// It is gone, or has no limit.
    pub fn limit(&self) -> Result<u64> {
        self.number(if self.unified { "memory.max" } else { "memory.limit_in_bytes" })
    }

    /// Bytes that it has, but for memory that is shared with others, as an emulated core's is.
    ///
    /// # Errors
    /// It is gone.
    pub fn private(&self) -> Result<u64> {
        let usage = self.number(if self.unified { "memory.current" } else { "memory.usage_in_bytes" })?;
        let stat = fs::read_to_string(self.directory.join("memory.stat"))?;
        let shared = stat.lines().find_map(|line| line.strip_prefix("shmem "));
        let shared: u64 = shared.with_context(|| stat.clone())?.parse()?;
        Ok(usage.saturating_sub(shared))
    }

    fn number(&self, file: &str) -> Result<u64> {
        let path = self.directory.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        text.trim().parse().with_context(|| format!("{}: {text}", path.display()))
    }
}
