//! Limits under containerd, and what people and containerd are told of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::limits::{MemoryGroup, cpus_of, two_cpus};
use qemu_tests::{Artifacts, DEADLINE, Docker, Options, PROMPT, Process, RUNTIME, Testbed, Version, run};

const MIB: u64 = 1 << 20;
/// What an emulator may take beside its core's memory.
const EMULATOR: u64 = 64 * MIB;

#[test]
fn a_core_that_runs_out_of_memory_is_an_event_of_containerd() -> Result<()> {
    let bed = Testbed::new()?;
    let mut events = bed.events()?;
    let words = bed.run_words(&["--rm", "-t", "--memory-limit", "2097152"], Artifacts::HELLO, "hog");
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    assert_eq!(MemoryGroup::of(bed.task("hog").emulator()?)?.limit()?, 2 * MIB + EMULATOR);
    console.send(b"hog\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(137));
    let told = events.expect("/tasks/exit", DEADLINE)?;
    let (_, oom) = told.split_once("/tasks/oom").with_context(|| told.clone())?;
    assert!(oom.contains(r#""container_id":"hog""#), "{told}");
    assert!(events.expect("\n", DEADLINE)?.contains(r#""exit_status":137"#));
    drop(events);
    bed.clean()
}

/// The allowance beside a core's memory is for this: the emulator itself, while its firmware is as busy as it can be.
#[test]
fn an_emulator_takes_no_more_for_itself_than_it_is_allowed() -> Result<()> {
    for qemu in ["MICRUN_QEMU_7", "MICRUN_QEMU_10"] {
        let bed = Testbed::under(qemu)?;
        let words = bed.run_words(&["--rm", "-t", "--memory-limit", "67108864"], Artifacts::HELLO, "busy");
        let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        console.expect(PROMPT, DEADLINE)?;
        let group = MemoryGroup::of(bed.task("busy").emulator()?)?;
        let idle = group.private()?;
        let mut most = idle;
        for command in ["help", "flood 2000000", "ls /", "cat /firmware.elf", "uptime"] {
            console.send(format!("{command}\r").as_bytes())?;
            console.expect(PROMPT, DEADLINE)?;
            most = most.max(group.private()?);
        }
        eprintln!("{qemu}: {} KiB idle, {} KiB at most", idle >> 10, most >> 10);
        assert!(most < EMULATOR, "{qemu}: {idle} bytes while it idles, {most} when it does not");
        console.send(b"exit 0\r")?;
        assert!(console.wait(DEADLINE)?.success());
        bed.clean()?;
    }
    Ok(())
}

#[test]
fn what_a_container_was_made_with_is_shown_to_people() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let conf = directory.path().join("node.toml");
    fs::write(&conf, "resources.max_memory = \"1GiB\"\ncontainer.stop_timout = 3\n")?;
    let options = Options::with(&Artifacts::from_env()).env("MICRUN_CONF_FILE", &conf);
    let bed = Testbed::with(&options)?;
    let micrun = directory.path().join("micrun");
    symlink(Artifacts::from_env().bin().join("containerd-shim-mica-v2"), &micrun)?;
    let show = |words: &[&str]| {
        let mut command = Command::new(&micrun);
        command.args(["config", "show"]).args(words).env("MICRUN_CONF_FILE", &conf);
        run(&mut command, DEADLINE)
    };
    let setting = "org.openeuler.micrun.container.stop_timeout=1m";
    let options = ["-d", "--memory-limit", "67108864", "--annotation", setting];
    bed.run(&options, Artifacts::HELLO, "shown")?.ok()?;
    let state = bed.containerd.directory().join("state").display().to_string();
    let said = show(&["--state", &state, "--namespace", "micrun", "shown"])?.ok()?.text().into_owned();
    let line = |name: &str| {
        let words = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.into_iter().find(|words| words.first() == Some(&name)).with_context(|| said.clone())
    };
    let key = "org.openeuler.micrun.container.stop_timeout";
    assert_eq!(line("container.stop_timeout")?[1..], ["60s", "annotation", key]);
    let file = format!("{}:", conf.display());
    assert_eq!(line("resources.max_memory")?[1..], ["1024", &file, "line", "1:", "resources.max_memory"]);
    assert_eq!(line("container.auto_close")?[1..], ["false", "default"]);
    assert_eq!(line("board")?[1..], ["qemu-arm64", "the", "image's", "/etc/mica/client.conf:", "Board"]);
    assert_eq!(line("limits.memory")?[1], "64");
    let warning = "container.stop_timout is unknown, did you mean container.stop_timeout";
    assert!(bed.containerd.log().contains(warning), "the typing error is in the log");
    let node = show(&[])?.ok()?;
    assert!(node.text().contains("resources.max_memory") && node.complaint().contains(warning));
    let missing = show(&["--state", &state, "absent"])?;
    assert!(missing.complaint().contains("container \"absent\" has no bundle in"), "{}", missing.complaint());
    assert_eq!(bed.task("shown").end_by("SIGKILL")?, 137);
    bed.clean()
}

/// What `docker update` says goes through containerd, as that of `nerdctl` does.
#[test]
fn a_person_changes_the_limits_of_a_running_core() -> Result<()> {
    let docker = Docker::start(&Version::V1_7.options())?;
    docker.ok(&["load", "--input", &Artifacts::from_env().hello().to_string_lossy()])?;
    let [first, last] = two_cpus()?;
    let limits = ["--cpuset-cpus", &first, "--memory", "64m"];
    let run = ["run", "--network", "none", "--runtime", RUNTIME, "--detach", "-it", "--name", "core"];
    docker.ok(&[&run[..], &limits, &[Artifacts::HELLO]].concat())?;
    let emulators = || Process::all().into_iter().filter(|process| process.name.starts_with("qemu-system-"));
    let ours = |process: &Process| {
        cpus_of(process.pid).is_ok_and(|cpus| cpus.iter().all(|cpus| *cpus == first))
            && MemoryGroup::of(process.pid).is_ok_and(|group| group.limit().is_ok())
    };
    let emulator = emulators().find(ours).context("no emulator on that cpu")?.pid;
    let group = MemoryGroup::of(emulator)?;
    assert_eq!(group.limit()?, 64 * MIB + EMULATOR);
    let more = ["--memory", "96m", "--memory-swap", "192m", "--cpu-shares", "512"];
    docker.ok(&[&["update", "--cpuset-cpus", &last], &more[..], &["core"]].concat())?;
    assert!(cpus_of(emulator)?.iter().all(|cpus| *cpus == last), "{:?}", cpus_of(emulator)?);
    assert_eq!(group.limit()?, 96 * MIB + EMULATOR);
    let refused = docker.run(&["update", "--pids-limit", "7", "core"])?;
    let sentence = "pids.limit cannot be changed for an emulated core";
    assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
    assert_eq!(group.limit()?, 96 * MIB + EMULATOR);
    docker.ok(&["rm", "--force", "core"])?;
    docker.clean()
}
