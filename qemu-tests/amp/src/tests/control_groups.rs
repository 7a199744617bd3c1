//! Control groups of version 2, as the kernel has them: what limits an emulated core on a host of today.
//!
//! There is no emulator in the guest; a shell stands for one.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use micrun::pedestal::group::{EMULATOR, Group};
use micrun::resources::GroupLimits;

use crate::suite::Test;

pub const TESTS: &[Test] = &[
    Test::new("control groups: limits are set, changed and lifted", limits),
    Test::new("control groups: who takes too much memory is killed, and counted", too_much)
        // The kernel tells where the one was that it found no memory for.
        .provoking(&OUT_OF_MEMORY),
];

/// What the kernel says of it, with a stack. A warning of another kind begins with a line that has none of these.
const OUT_OF_MEMORY: [&str; 5] = ["oom", "CPU: ", "Hardware name: ", "Call trace:", "+0x"];

const ROOT: &str = "/sys/fs/cgroup";
const MIB: u64 = 1 << 20;

fn read(path: &str, file: &str) -> Result<String> {
    let path = Path::new(ROOT).join(path).join(file);
    Ok(fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim_end().to_owned())
}

fn shell(script: &str) -> Result<Child> {
    Ok(Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).spawn()?)
}

fn limits() -> Result<()> {
    // As the kubelet names it with systemd's driver, and what becomes of that.
    let group = Group::named("a-b.slice:cri:c1").context("a name")?;
    let path = "a.slice/a-b.slice/cri-c1.scope";
    group.apply(&GroupLimits { memory: Some(16 * MIB), ..GroupLimits::default() }, None)?;
    ensure!(read(path, "memory.max")? == (16 * MIB + EMULATOR).to_string());
    let mut member = shell("read line")?;
    group.add(member.id())?;
    // The controller for time is switched on only now.
    let more = GroupLimits {
        shares: Some(2048),
        quota: Some(50_000),
        period: Some(200_000),
        memory: Some(32 * MIB),
        swap: Some(48 * MIB),
    };
    group.apply(&more, Some(member.id()))?;
    let said = [
        ("cpu.weight", "79".to_owned()),
        ("cpu.max", "50000 200000".to_owned()),
        ("memory.max", (32 * MIB + EMULATOR).to_string()),
        ("memory.swap.max", (16 * MIB).to_string()),
        ("cgroup.procs", member.id().to_string()),
    ];
    for (file, value) in said {
        let found = read(path, file)?;
        ensure!(found == value, "{file} is {found}, not {value}");
    }
    group.apply(&GroupLimits::default(), None)?;
    ensure!(read(path, "cpu.max")? == "max 100000" && read(path, "memory.max")? == "max");
    drop(member.stdin.take());
    member.wait()?;
    drop(group);
    ensure!(!Path::new(ROOT).join(path).exists(), "the group is left");
    fs::remove_dir(Path::new(ROOT).join("a.slice/a-b.slice"))?;
    fs::remove_dir(Path::new(ROOT).join("a.slice"))?;
    Ok(())
}

fn too_much() -> Result<()> {
    let group = Group::named("/tests/c2").context("a name")?;
    group.apply(&GroupLimits { memory: Some(MIB), ..GroupLimits::default() }, None)?;
    // Waits to be put into the group, then doubles a text until nothing is left.
    let mut hog = shell("read line; text=0123456789abcdef; while :; do text=$text$text; done")?;
    group.add(hog.id())?;
    drop(hog.stdin.take());
    let status = hog.wait()?;
    ensure!(!status.success(), "{status}");
    ensure!(group.oom_kills() == 1, "{} kills: {status}", group.oom_kills());
    drop(group);
    fs::remove_dir(Path::new(ROOT).join("tests"))?;
    Ok(())
}
