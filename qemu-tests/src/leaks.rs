//! Counts what containers left behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::Process;

/// Where shims put their sockets, whatever state directory their containerd has.
const SOCKETS: &str = "/run/containerd/s";
/// Where POSIX shared memory lives.
const SHARED_MEMORY: &str = "/dev/shm";
/// The argument by which a shim names its containerd.
const ADDRESS: &str = "-address ";
/// Below containerd's root and state: one directory per namespace, and in it one per container.
const BUNDLES: &str = "io.containerd.runtime.v2.task";

/// Everything a container may leave on the machine, as lines for a person, at one moment.
///
/// Take one before the containers and compare another one after them. What belongs to another containerd of this
/// harness that runs at the same time does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaks(BTreeSet<String>);

impl Leaks {
    /// What is there of the instance in `directory`; `daemons` belong to the instance itself.
    pub(crate) fn snapshot(directory: &Path, prefix: &str, daemons: &[u32]) -> Self {
        let processes = Processes::sorted(directory, prefix);
        let mut found = BTreeSet::new();
        found.extend(processes.lines(daemons));
        found.extend(mounts(directory).iter().map(|path| format!("mount {}", path.display())));
        found.extend(processes.sockets().iter().map(|path| format!("socket {}", path.display())));
        found
            .extend(processes.shared_memory().iter().map(|path| format!("shared memory {}", path.display())));
        found.extend(bundles(directory).iter().map(|path| format!("bundle {}", path.display())));
        Self(found)
    }

    /// What is here and was not there `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// The machine's processes by owner.
pub(crate) struct Processes {
    ours: Vec<Process>,
    orphans: Vec<Process>,
    others: Vec<Process>,
}

impl Processes {
    /// Sorts the processes: `ours` name the instance's directory or descend from one that does; `orphans` are shims
    /// and emulators that name no containerd at all and have lost their parent, so that nobody can tell whose they
    /// are; all `others` are somebody else's. (An orphan that has ended, and so has no arguments, is init's business.)
    pub(crate) fn sorted(directory: &Path, prefix: &str) -> Self {
        let directory = directory.to_string_lossy();
        let (mut ours, mut rest): (Vec<_>, Vec<_>) =
            Process::all().into_iter().partition(|process| process.mentions(&directory));
        let mut others: Vec<_> = rest.extract_if(.., |process| process.mentions(prefix)).collect();
        while let Some(at) = rest.iter().position(|child| ours.iter().any(|own| own.pid == child.parent)) {
            ours.push(rest.swap_remove(at));
        }
        let lost = |process: &Process| process.parent == 1 && !process.arguments.is_empty();
        let nobodys = |process: &Process| !process.arguments.contains(ADDRESS);
        let is_orphan =
            |process: &mut Process| lost(process) && nobodys(process) && is_shim_or_emulator(&process.name);
        let orphans = rest.extract_if(.., is_orphan).collect();
        others.append(&mut rest);
        Self { ours, orphans, others }
    }

    /// The instance's processes, its containerd and clients included.
    pub(crate) fn ours(&self) -> &[Process] {
        &self.ours
    }

    /// Shim sockets that no process of somebody else listens on: the instance's own and the stale ones. One that was
    /// made after the processes were looked at is among them, whosever it is.
    fn sockets(&self) -> Vec<PathBuf> {
        sockets(|name| !name.is_some_and(|name| self.others_hold(name)))
    }

    /// Shim sockets that the instance's processes listen on.
    pub(crate) fn own_sockets(&self) -> Vec<PathBuf> {
        sockets(|name| name.is_some_and(|name| self.ours.iter().any(|process| process.holds(name))))
    }

    fn shared_memory(&self) -> Vec<PathBuf> {
        let foreign = |path: &Path| self.others_hold(&path.to_string_lossy());
        entries(Path::new(SHARED_MEMORY)).into_iter().filter(|path| !foreign(path)).collect()
    }

    fn others_hold(&self, name: &str) -> bool {
        self.others.iter().any(|process| process.holds(name))
    }

    fn lines(&self, daemons: &[u32]) -> impl Iterator<Item = String> {
        let ours = self.ours.iter().filter(|process| !daemons.contains(&process.pid));
        let leaks = ours.chain(&self.orphans);
        leaks.map(|process| format!("process {} {}: {}", process.pid, process.name, process.arguments))
    }
}

/// Names are compared by their beginning because the kernel cuts the name of an ended process to 15 bytes.
fn is_shim_or_emulator(name: &str) -> bool {
    name.starts_with("containerd-shim") || name.starts_with("qemu-system-")
}

/// Mount points below `directory`, innermost last.
pub(crate) fn mounts(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(directory)).collect()
}

fn bundles(directory: &Path) -> Vec<PathBuf> {
    let below = ["root", "state"].map(|name| directory.join(name).join(BUNDLES));
    below.iter().flat_map(|path| entries(path)).flat_map(|namespace| entries(&namespace)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Shim sockets that `count`, which is told the name that a process knows the socket by if it listens on it.
fn sockets(count: impl Fn(Option<&str>) -> bool) -> Vec<PathBuf> {
    let listening = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let counts = |path: &PathBuf| {
        let inode = inode_of(&listening, &path.to_string_lossy());
        count(inode.map(|inode| format!("socket:[{inode}]")).as_deref())
    };
    let is_socket = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    entries(Path::new(SOCKETS)).into_iter().filter(|path| is_socket(path) && counts(path)).collect()
}

/// The inode in the line of `/proc/net/unix` that ends in `path` (`Num: RefCount Protocol Flags Type St Inode Path`).
fn inode_of<'a>(listening: &'a str, path: &str) -> Option<&'a str> {
    let line = listening.lines().find(|line| line.split_whitespace().nth(7) == Some(path))?;
    line.split_whitespace().nth(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_counts() {
        let lines = |all: &[&str]| Leaks(all.iter().map(ToString::to_string).collect());
        let (before, after) = (lines(&["mount /a", "mount /b"]), lines(&["mount /b", "mount /c"]));
        assert_eq!(after.since(&before), ["mount /c"]);
    }

    #[test]
    fn the_inode_belongs_to_the_whole_path() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
                     0: 00000002 00000000 00010000 0001 01 41 /run/containerd/s/ab\n\
                     0: 00000002 00000000 00010000 0001 01 42 /run/containerd/s/a\n\
                     0: 00000003 00000000 00000000 0001 03 43\n";
        assert_eq!(inode_of(table, "/run/containerd/s/a"), Some("42"));
        assert_eq!(inode_of(table, "/run/containerd/s/c"), None);
    }
}
