//! The control group of a process that plays a core: where the kernel holds it to the container's limits.
//!
//! It is the one that OCI's `linux.cgroupsPath` names, as under every other runtime, so a pod's own group bounds it too. It
//! is made when there is something to limit; a container without limits stays in the shim's. Both versions of control
//! groups are served; of version 1, only the hierarchies of limits that are set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::resources::GroupLimits;

/// Where they are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// There in the root of version 2.
const CONTROLLERS: &str = "cgroup.controllers";
const CHILDREN: &str = "cgroup.subtree_control";
const MEMBERS: &str = "cgroup.procs";
/// Limits of swap, of both versions. A kernel may have none.
const SWAP: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
/// The kernel's period where none is given, microseconds.
const PERIOD: u64 = 100_000;
/// Bytes that an emulator may take beside the core's memory: its own, 29 MiB at most as measured, and at most 32 MiB of
/// translated code (`tb-size`).
pub const EMULATOR: u64 = 64 << 20;
/// Bounds of OCI's shares, and of weights.
const SHARES: (u64, u64) = (2, 262_144);
const WEIGHTS: (u64, u64) = (1, 10_000);

/// A group cannot be had, or does not take a limit.
#[derive(Debug, thiserror::Error)]
#[error("control group {path}: {source}{}", value.as_ref().map(|value| format!(" (writing {value})")).unwrap_or_default())]
pub struct GroupError {
    path: String,
    value: Option<String>,
    source: io::Error,
}

/// One container's group; removed when dropped, if nothing is in it any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    root: PathBuf,
    /// Below a root.
    path: PathBuf,
}

/// The kinds of limits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Controller {
    Cpu,
    Memory,
}

impl Controller {
    const ALL: [Controller; 2] = [Controller::Cpu, Controller::Memory];

    const fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
        }
    }
}

impl Group {
    /// The group of that name, `linux.cgroupsPath`; `None` if it is no name of one. Nothing is made yet.
    pub fn named(cgroups_path: &str) -> Option<Group> {
        Group::below(Path::new(ROOT), cgroups_path)
    }

    fn below(root: &Path, cgroups_path: &str) -> Option<Group> {
        let path = expanded(cgroups_path)?;
        Some(Group { root: root.to_owned(), path })
    }

    /// Sets limits, and puts the process `member` into the group if it was made only now.
    pub fn apply(&self, limits: &GroupLimits, member: Option<u32>) -> Result<(), GroupError> {
        for controller in Controller::ALL {
            let dir = self.dir(controller);
            let values = self.values(controller, limits);
            // Of version 2 the directory may be there, and this kind of limit not switched on in it.
            let there = values.iter().all(|(file, _)| SWAP.contains(file) || dir.join(file).exists());
            if !there && !limits.any_of(controller) {
                continue;
            }
            if !there {
                self.make(&dir, controller)?;
            }
            for (file, value) in values {
                let path = dir.join(file);
                if !SWAP.contains(&file) || path.exists() {
                    write(&path, &value)?;
                }
            }
            if let Some(pid) = member.filter(|_| !there) {
                write(&dir.join(MEMBERS), &pid.to_string())?;
            }
        }
        Ok(())
    }

    /// Puts a process in, as far as there is a group.
    pub fn add(&self, pid: u32) -> Result<(), GroupError> {
        let dirs = self.dirs().into_iter().filter(|dir| dir.is_dir());
        dirs.into_iter().try_for_each(|dir| write(&dir.join(MEMBERS), &pid.to_string()))
    }

    /// How many processes in it were killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.unified() { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.dir(Controller::Memory).join(file)).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
        text.lines().find_map(count).unwrap_or(0)
    }

    /// Removes it, if nothing is in it.
    pub fn remove(&self) {
        for dir in self.dirs() {
            // Not there, or another's: whoever is in it still needs it.
            let _ = fs::remove_dir(dir);
        }
    }

    fn unified(&self) -> bool {
        self.root.join(CONTROLLERS).exists()
    }

    fn dir(&self, controller: Controller) -> PathBuf {
        if self.unified() {
            return self.root.join(&self.path);
        }
        self.root.join(controller.name()).join(&self.path)
    }

    fn dirs(&self) -> Vec<PathBuf> {
        let mut dirs = Controller::ALL.map(|controller| self.dir(controller)).to_vec();
        dirs.dedup();
        dirs
    }

    fn make(&self, dir: &Path, controller: Controller) -> Result<(), GroupError> {
        fs::create_dir_all(dir).map_err(|source| failed(dir, None, source))?;
        if self.unified() {
            // From the root down; who has switched it on already, or may not, shows when a limit is written.
            let above: Vec<&Path> =
                dir.ancestors().skip(1).take_while(|above| above.starts_with(&self.root)).collect();
            for above in above.into_iter().rev() {
                let _ = fs::write(above.join(CHILDREN), format!("+{}", controller.name()));
            }
        }
        Ok(())
    }

    /// What is written where, in this order.
    fn values(&self, controller: Controller, limits: &GroupLimits) -> Vec<(&'static str, String)> {
        let number =
            |value: Option<u64>, none: &str| value.map_or(none.to_owned(), |value| value.to_string());
        let period = limits.period.unwrap_or(PERIOD);
        let all = |core: u64| core.saturating_add(EMULATOR);
        let [memsw, swap_max] = SWAP;
        let shares = limits.shares;
        match (controller, self.unified()) {
            (Controller::Cpu, true) => vec![
                ("cpu.weight", weight(shares.unwrap_or(1024)).to_string()),
                ("cpu.max", format!("{} {period}", number(limits.quota, "max"))),
            ],
            (Controller::Cpu, false) => vec![
                ("cpu.shares", shares.unwrap_or(1024).to_string()),
                ("cpu.cfs_period_us", period.to_string()),
                ("cpu.cfs_quota_us", number(limits.quota, "-1")),
            ],
            (Controller::Memory, true) => {
                let swap = limits.swap.zip(limits.memory).map(|(both, memory)| both.saturating_sub(memory));
                vec![("memory.max", number(limits.memory.map(all), "max")), (swap_max, number(swap, "max"))]
            }
            // Neither limit may pass the other on its way.
            (Controller::Memory, false) => vec![
                (memsw, "-1".to_owned()),
                ("memory.limit_in_bytes", number(limits.memory.map(all), "-1")),
                (memsw, number(limits.swap.map(all), "-1")),
            ],
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

impl GroupLimits {
    fn any_of(&self, controller: Controller) -> bool {
        match controller {
            Controller::Cpu => self.shares.is_some() || self.quota.is_some(),
            Controller::Memory => self.memory.is_some(),
        }
    }
}

/// Weight of version 2 for OCI's shares, by Kubernetes' formula (KEP 2254).
fn weight(shares: u64) -> u64 {
    let (least, most) = SHARES;
    let (lightest, heaviest) = WEIGHTS;
    lightest + (shares.clamp(least, most) - least) * (heaviest - lightest) / (most - least)
}

/// A path below the root of control groups: as it is, or from systemd's `slice:prefix:name`.
fn expanded(cgroups_path: &str) -> Option<PathBuf> {
    let path = match cgroups_path.split(':').collect::<Vec<_>>().as_slice() {
        [path] => PathBuf::from(path.trim_matches('/')),
        [slice, prefix, name] => slices(slice)?.join(format!("{prefix}-{name}.scope")),
        _ => return None,
    };
    let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    (plain && path.components().next().is_some()).then_some(path)
}

/// `a-b.slice` is in `a.slice`.
fn slices(slice: &str) -> Option<PathBuf> {
    let name = if slice.is_empty() { "system" } else { slice.strip_suffix(".slice")? };
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    Some(ends.filter_map(|end| name.get(..end)).map(|name| format!("{name}.slice")).collect())
}

fn write(file: &Path, value: &str) -> Result<(), GroupError> {
    fs::write(file, value).map_err(|source| failed(file, Some(value), source))
}

fn failed(path: &Path, value: Option<&str>, source: io::Error) -> GroupError {
    GroupError { path: path.display().to_string(), value: value.map(str::to_owned), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> GroupLimits {
        GroupLimits {
            shares: Some(512),
            quota: Some(50_000),
            period: None,
            memory: Some(16 << 20),
            swap: Some(20 << 20),
        }
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("written")
    }

    #[test]
    fn names_are_those_of_both_drivers() {
        let path = |name| expanded(name).map(|path| path.display().to_string());
        assert_eq!(path("/default/c1").as_deref(), Some("default/c1"));
        let pod = "kubepods-besteffort-pod1_2.slice:cri-containerd:c1";
        let expected = "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-c1.scope";
        assert_eq!(path(pod).as_deref(), Some(expected));
        assert_eq!(path(":docker:c1").as_deref(), Some("system.slice/docker-c1.scope"));
        for name in ["", "/", "a:b", "../x", "/a/../../x", "a.slice:b:../../../x", "a:b:c"] {
            assert_eq!(path(name), None, "{name}");
        }
    }

    #[test]
    fn version_2_is_one_directory() {
        // Files as the kernel has them; what they take is its business, where they are and what they say is ours.
        let root = tempfile::tempdir().expect("a directory");
        fs::write(root.path().join(CONTROLLERS), "cpu memory\n").expect("written");
        let group = Group::below(root.path(), "/default/c1").expect("a name");
        group.apply(&GroupLimits::default(), None).expect("nothing to do");
        // One that was there already, on a kernel that has swap.
        fs::create_dir_all(root.path().join("default/c1")).expect("made");
        fs::write(root.path().join("default/c1").join(SWAP[1]), "max").expect("written");
        group.apply(&limits(), None).expect("limited");
        assert_eq!(read(&root.path().join("default/c1").join(SWAP[1])), (4 << 20).to_string());
        fs::remove_dir_all(root.path().join("default")).expect("removed");
        assert!(!root.path().join("default").exists(), "nothing to limit");
        group.apply(&limits(), Some(7)).expect("made");
        let dir = root.path().join("default/c1");
        assert_eq!(read(&dir.join("cpu.weight")), "20");
        assert_eq!(read(&dir.join("cpu.max")), "50000 100000");
        assert_eq!(read(&dir.join("memory.max")), ((16 << 20) + EMULATOR).to_string());
        assert_eq!(read(&dir.join(MEMBERS)), "7");
        assert_eq!(read(&root.path().join(CHILDREN)), "+memory");
        fs::write(dir.join("memory.events"), "low 0\noom 2\noom_kill 1\n").expect("written");
        assert_eq!(group.oom_kills(), 1);
        group.apply(&GroupLimits::default(), None).expect("lifted");
        assert_eq!(
            (read(&dir.join("cpu.max")), read(&dir.join("memory.max"))),
            ("max 100000".into(), "max".into())
        );
    }

    #[test]
    fn the_documents_examples_are_what_is_written() {
        let root = tempfile::tempdir().expect("a directory");
        fs::write(root.path().join(CONTROLLERS), "cpu memory\n").expect("written");
        let group = Group::below(root.path(), "/default/c1").expect("a name");
        for example in crate::resources::tests::examples() {
            let limits = example.plan.group;
            let value = |controller, at: usize| {
                let values = group.values(controller, &limits);
                if limits.any_of(controller) { values[at].1.clone() } else { "none".to_owned() }
            };
            let memory = value(Controller::Memory, 0);
            let memory = memory.parse().map_or(memory, |bytes: u64| (bytes >> 20).to_string());
            let written = [value(Controller::Cpu, 0), value(Controller::Cpu, 1), memory];
            assert_eq!(written, example.group, "{}", example.given);
        }
    }

    #[test]
    fn version_1_has_a_directory_per_kind() {
        let root = tempfile::tempdir().expect("a directory");
        let group = Group::below(root.path(), "/default/c1").expect("a name");
        group.apply(&GroupLimits { memory: None, ..limits() }, None).expect("made");
        group.add(9).expect("put in");
        assert!(!root.path().join("memory").exists());
        let in_order = group.values(Controller::Memory, &limits());
        let total = |mib: u64| ((mib << 20) + EMULATOR).to_string();
        let expected = [(SWAP[0], "-1".into()), ("memory.limit_in_bytes", total(16)), (SWAP[0], total(20))];
        assert_eq!(in_order, expected, "neither passes the other");
        let dir = root.path().join("cpu/default/c1");
        let values = ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", MEMBERS]
            .map(|file| read(&dir.join(file)));
        assert_eq!(values, ["512", "100000", "50000", "9"]);
        assert_eq!(group.oom_kills(), 0);
    }

    #[test]
    fn weights_cover_the_range_of_shares() {
        assert_eq!([0, 2, 1024, 262_144, u64::MAX].map(weight), [1, 1, 39, 10_000, 10_000]);
    }
}
