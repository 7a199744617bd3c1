//! The harness under a real containerd with runc in micrun's place: it must see what runs, what is said and what
//! is left before it may judge micrun by it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use qemu_tests::{Containerd, Ctr, Options, Pty, busybox, run, wait_for};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
/// How long one of several attempts may take.
const MOMENT: Duration = Duration::from_millis(500);
const NAMESPACE: &str = "harness";

/// A containerd with the busybox image, a client of it, and container names that no other instance uses: runc's
/// records and control groups are the machine's, not containerd's.
struct Bed {
    containerd: Containerd,
    ctr: Ctr,
    shell: String,
    ticker: String,
}

impl Bed {
    fn make() -> Result<Self> {
        let containerd = Containerd::start(&Options::default())?;
        let ctr = containerd.ctr(NAMESPACE);
        busybox::import(&ctr)?;
        let id = |name: &str| format!("{name}-{}", containerd.pid());
        Ok(Self { shell: id("shell"), ticker: id("ticker"), containerd, ctr })
    }

    /// A shell on a terminal, at its prompt.
    fn shell(&self) -> Result<Pty> {
        let mut pty = self.ctr.pty(&["run", "--rm", "-t", busybox::IMAGE, &self.shell])?;
        pty.expect("# ", DEADLINE)?;
        Ok(pty)
    }

    /// Starts a container in the background that says `tick` again and again.
    fn tick(&self) -> Result<()> {
        let script = "while busybox sleep 0.05; do echo tick; done";
        self.ctr.ok(&["run", "-d", busybox::IMAGE, &self.ticker, "/bin/sh", "-c", script]).map(drop)
    }

    fn end_ticking(&self) -> Result<()> {
        self.ctr.ok(&["task", "kill", "-s", "SIGKILL", &self.ticker])?;
        let stopped =
            || self.ctr.ok(&["task", "ls"]).is_ok_and(|list| list.contains("STOPPED")).then_some(());
        wait_for("the task's end", DEADLINE, stopped)?;
        self.ctr.ok(&["task", "delete", &self.ticker])?;
        self.ctr.ok(&["container", "delete", &self.ticker]).map(drop)
    }
}

#[test]
fn an_instance_answers_and_is_gone_with_its_value() -> Result<()> {
    let containerd = Containerd::start(&Options::default())?;
    assert!(containerd.ctr("default").ok(&["version"])?.contains("Server:"));
    let (pid, directory) = (containerd.pid(), containerd.directory().to_path_buf());
    assert!(directory.join("root").is_dir() && directory.join("state").is_dir());
    assert!(containerd.log().contains("containerd successfully booted"));
    drop(containerd);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!directory.exists());
    Ok(())
}

#[test]
fn a_daemon_that_does_not_start_is_an_error_with_its_log() -> Result<()> {
    let directory = TempDir::new()?;
    let error = Containerd::start(&Options {
        containerd: Some(directory.path().to_path_buf()),
        ..Options::default()
    });
    let error = format!("{:#}", error.err().context("a containerd started out of an empty directory")?);
    assert!(error.contains("cannot start"), "{error}");
    Ok(())
}

#[test]
fn its_environment_and_path_are_the_options_own() -> Result<()> {
    let directory = TempDir::new()?;
    let options = Options { path: vec![directory.path().to_path_buf()], ..Options::default() };
    let containerd = Containerd::start(&options.env("MICRUN_QEMU", "/nowhere/qemu"))?;
    let environment = std::fs::read(format!("/proc/{}/environ", containerd.pid()))?;
    let environment = String::from_utf8(environment)?;
    assert!(environment.split('\0').any(|variable| variable == "MICRUN_QEMU=/nowhere/qemu"));
    let path = format!("PATH={}:", directory.path().display());
    assert!(environment.split('\0').any(|variable| variable.starts_with(&path)));
    Ok(())
}

#[test]
fn the_cri_service_is_there_only_when_asked_for() -> Result<()> {
    let cri = |options: &Options| {
        let plugins = Containerd::start(options)?.ctr("default").ok(&["plugins", "ls"])?;
        Ok::<_, anyhow::Error>(plugins.lines().any(|line| line.contains(" cri ") && line.contains(" ok ")))
    };
    assert!(!cri(&Options::default())?);
    assert!(cri(&Options { cri: true, ..Options::default() })?);
    Ok(())
}

#[test]
fn a_shell_on_a_terminal_takes_input_and_its_status_arrives() -> Result<()> {
    let bed = Bed::make()?;
    let before = bed.containerd.leaks();
    let mut pty = bed.shell()?;
    pty.send(b"echo $((6*7))\n")?;
    pty.expect("\r\n42\r\n", DEADLINE)?;
    pty.send(b"until [ \"$(busybox stty size)\" = '40 100' ]; do :; done; echo re''sized\n")?;
    // `ctr` misses what happens before it listens for changes, and it says nothing when it does.
    wait_for("the new size", DEADLINE, || {
        pty.resize(39, 100).and_then(|()| pty.resize(40, 100)).ok()?;
        pty.expect("resized", MOMENT).ok()
    })?;
    pty.send(b"exit 3\n")?;
    assert_eq!(pty.wait(DEADLINE)?.code(), Some(3));
    bed.containerd.assert_none_left(&before);
    Ok(())
}

#[test]
fn a_detached_container_is_attached_to_twice() -> Result<()> {
    let bed = Bed::make()?;
    let before = bed.containerd.leaks();
    bed.tick()?;
    for _ in 0..2 {
        let mut pty = bed.ctr.pty(&["task", "attach", &bed.ticker])?;
        pty.expect("tick", DEADLINE)?;
        pty.detach()?;
    }
    bed.end_ticking()?;
    bed.containerd.assert_none_left(&before);
    Ok(())
}

#[test]
fn what_a_running_container_holds_is_seen() -> Result<()> {
    let bed = Bed::make()?;
    let before = bed.containerd.leaks();
    bed.tick()?;
    let held = bed.containerd.leaks().since(&before);
    let holds =
        |what: &str, name: &str| held.iter().any(|line| line.starts_with(what) && line.contains(name));
    assert!(holds("process ", " containerd-shim-runc-v2: "), "{held:#?}");
    assert!(holds("process ", "while busybox sleep"), "{held:#?}");
    assert!(holds("socket ", "/run/containerd/s/"), "{held:#?}");
    assert!(holds("mount ", "/rootfs"), "{held:#?}");
    assert!(holds("bundle ", "/state/io.containerd.runtime.v2.task/"), "{held:#?}");
    bed.end_ticking()?;
    bed.containerd.assert_none_left(&before);
    Ok(())
}

#[test]
fn shared_memory_is_seen() -> Result<()> {
    let containerd = Containerd::start(&Options::default())?;
    let before = containerd.leaks();
    let file = tempfile::NamedTempFile::new_in("/dev/shm")?;
    let line = format!("shared memory {}", file.path().display());
    assert!(containerd.leaks().since(&before).contains(&line));
    Ok(())
}

#[test]
fn a_neighbour_s_container_is_no_leak() -> Result<()> {
    let containerd = Containerd::start(&Options::default())?;
    let before = containerd.leaks();
    let neighbour = Bed::make()?;
    neighbour.tick()?;
    let left = containerd.leaks().since(&before);
    neighbour.end_ticking()?;
    assert!(left.iter().all(|line| line.starts_with("shared memory")), "{left:#?}");
    Ok(())
}

#[test]
fn an_instance_s_end_takes_its_containers_along() -> Result<()> {
    let bed = Bed::make()?;
    let before = bed.containerd.leaks();
    bed.tick()?;
    let held = bed.containerd.leaks().since(&before);
    let socket = held.iter().find_map(|line| line.strip_prefix("socket ")).context("no socket")?.to_owned();
    let pids: Vec<u32> = bed.containerd.processes().iter().map(|process| process.pid).collect();
    let directory = bed.containerd.directory().to_path_buf();
    assert!(!pids.is_empty());
    let ticker = bed.ticker.clone();
    drop(bed);
    assert!(!directory.exists() && !Path::new(&socket).exists());
    let gone = || pids.iter().all(|pid| ended(*pid)).then_some(());
    wait_for("the end of its processes", DEADLINE, gone)?;
    delete_record(&ticker)
}

/// Removes what runc wrote down about a container that was killed without it.
fn delete_record(id: &str) -> Result<()> {
    let root = format!("/run/containerd/runc/{NAMESPACE}");
    run(Command::new("runc").args(["--root", &root, "delete", "--force", id]), DEADLINE)?.ok()?;
    Ok(())
}

/// Whether `pid` is gone or waits only for its parent to take note of that.
fn ended(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().all(|line| !line.starts_with("State:") || line.contains("Z (zombie)"))
}
