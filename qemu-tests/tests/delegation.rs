//! Linux images under micrun's runtime name: containerd's own shim runs them, as if micrun were not there.
//!
//! Each test has a containerd of its own. Ids carry its process id: runc's records and control groups are the machine's.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use qemu_tests::by_hand::{bundle, bundle_with, call, finish, output};
use qemu_tests::{
    Artifacts, DEADLINE, Options, Output, Process, Pty, Testbed, busybox, kill_9, lives, run_with_input,
    wait_for,
};
use tempfile::TempDir;

const SHIM: &str = "containerd-shim-runc-v2";
/// Where runc's records are, one directory per namespace and in it one per container.
const RECORDS: &str = "/run/containerd/runc/micrun";
/// A container that lives until it is killed, and says when it runs.
const FOREVER: &str = "trap 'exit 7' TERM; echo up; while :; do busybox sleep 0.05; done";

/// A containerd with the busybox image, and one container that is to be.
struct Linux {
    bed: Testbed,
    id: String,
}

impl Linux {
    fn new() -> Result<Self> {
        Self::with(&Options::with(&Artifacts::from_env()))
    }

    fn with(options: &Options) -> Result<Self> {
        let bed = Testbed::with(options)?;
        busybox::import(&bed.ctr)?;
        let id = format!("linux-{}", bed.containerd.pid());
        Ok(Self { bed, id })
    }

    /// The words of `ctr run options... busybox id sh -c script`.
    fn words(&self, options: &[&str], script: &str) -> Vec<String> {
        let mut words = self.bed.run_words(options, busybox::IMAGE, &self.id);
        words.extend(["/bin/sh", "-c", script].map(str::to_owned));
        words
    }

    /// Runs a script in the foreground to its end.
    fn run(&self, script: &str, input: &[u8]) -> Result<Output> {
        let words = self.words(&["--rm"], script);
        run_with_input(&mut self.bed.ctr.command(&strs(&words)), input, DEADLINE)
    }

    /// Runs a script on a terminal, until it has said that it is up.
    fn console(&self, script: &str) -> Result<Pty> {
        let words = self.words(&["--rm", "-t"], script);
        let mut console = self.bed.ctr.pty(&strs(&words))?;
        console.expect("up\r\n", DEADLINE)?;
        Ok(console)
    }

    /// Starts [`FOREVER`] in the background; gives the process ids of the container and of its shim.
    fn detached(&self) -> Result<(u32, u32)> {
        self.bed.ctr.run(&strs(&self.words(&["-d", "--null-io"], FOREVER)))?.ok()?;
        let pid = self.bed.task(&self.id).pid()?;
        let process = Process::all().into_iter().find(|process| process.pid == pid).context("it runs")?;
        Ok((pid, process.parent))
    }

    /// Nothing is left, not even with runc.
    fn clean(&self) -> Result<()> {
        self.bed.clean()?;
        anyhow::ensure!(!Path::new(RECORDS).join(&self.id).exists(), "runc has a record of {}", self.id);
        Ok(())
    }
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Of one process.
fn program(pid: u32) -> Option<String> {
    Some(fs::read_link(format!("/proc/{pid}/exe")).ok()?.file_name()?.to_str()?.to_owned())
}

/// Writes a script that can be run. Another process writes it: what a fork of ours has open for writing cannot be run.
fn script(path: &Path, text: &str) -> Result<()> {
    let mut write = Command::new("sh");
    write.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\"; chmod +x \"$0\""]).arg(path).arg(text);
    anyhow::ensure!(write.status()?.success(), "{}", path.display());
    Ok(())
}

#[test]
fn output_input_and_status_are_those_of_the_program() -> Result<()> {
    let linux = Linux::new()?;
    let ran = linux.run("read line; echo \"out $line\"; echo err >&2; exit 5", b"typed\n")?;
    assert_eq!(ran.status.code(), Some(5), "{}", ran.complaint());
    assert_eq!((ran.text().as_ref(), ran.complaint().as_ref()), ("out typed\n", "err\n"));
    linux.clean()
}

#[test]
fn exec_stats_and_kill_are_runc_s() -> Result<()> {
    let linux = Linux::new()?;
    let mut console = linux.console(FOREVER)?;
    let ctr = &linux.bed.ctr;
    let exec =
        ctr.run(&["task", "exec", "--exec-id", "e1", &linux.id, "/bin/sh", "-c", "echo $0; exit 4"])?;
    assert_eq!((exec.status.code(), exec.text().as_ref()), (Some(4), "/bin/sh\n"), "{}", exec.complaint());
    assert!(ctr.ok(&["task", "metrics", &linux.id])?.contains("cpu"));
    assert!(ctr.ok(&["task", "ps", &linux.id])?.lines().count() >= 2);
    linux.bed.task(&linux.id).kill("SIGTERM")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(7));
    linux.clean()
}

#[test]
fn no_process_of_ours_stays() -> Result<()> {
    let linux = Linux::new()?;
    let (_, shim) = linux.detached()?;
    assert_eq!(program(shim).as_deref(), Some(SHIM));
    let ours = |process: &Process| process.name == "containerd-shim-mica-v2";
    assert_eq!(linux.bed.containerd.processes().into_iter().find(ours).map(|process| process.pid), None);
    assert_eq!(linux.bed.task(&linux.id).end_by("SIGKILL")?, 137);
    linux.clean()
}

#[test]
fn a_killed_shim_is_cleaned_up_after_by_its_own_kind() -> Result<()> {
    let linux = Linux::new()?;
    let (init, shim) = linux.detached()?;
    let mut events = linux.bed.events()?;
    kill_9(shim)?;
    events.expect("/tasks/exit", DEADLINE)?;
    assert!(events.expect("}", DEADLINE)?.contains("\"exit_status\":137"));
    drop(events);
    wait_for("the container's end", DEADLINE, || (!lives(init)).then_some(()))?;
    let task = linux.bed.task(&linux.id);
    task.gone()?;
    task.remove_container()?;
    // The same name can be used again; runc's shim removes the socket of its killed predecessor only then.
    assert_eq!(linux.run("exit 3", b"")?.status.code(), Some(3));
    linux.clean()
}

#[test]
fn an_rtos_and_a_linux_container_run_side_by_side() -> Result<()> {
    let linux = Linux::new()?;
    let mut console = linux.bed.console("rtos")?;
    let (_, shim) = linux.detached()?;
    assert_ne!(shim, linux.bed.task("rtos").pid()?);
    assert_eq!(qemu_tests::ask(&mut console, "echo still here")?, "still here\r\n");
    assert_eq!(linux.bed.task(&linux.id).end_by("SIGTERM")?, 7);
    console.send(b"exit 2\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(2));
    linux.clean()
}

/// Where a program of the machine is.
fn which(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut found = std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(program));
    found.find(|path| path.is_file()).with_context(|| format!("no {program}"))
}

/// A `crun` that is runc behind a mask, says that it takes specifications up to `most`, and notes what it is asked.
fn masked_crun(directory: &Path, most: &str) -> Result<PathBuf> {
    let (runc, notes) = (which("runc")?, directory.join("notes"));
    let features = format!("{{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"{most}\"}}");
    let text = format!(
        "[ \"$1\" = features ] && echo '{features}' && exit\necho \"$@\" >> {}\nexec {} \"$@\"",
        notes.display(),
        runc.display()
    );
    script(&directory.join("crun"), &text)?;
    Ok(notes)
}

#[test]
fn crun_is_preferred() -> Result<()> {
    let directory = TempDir::new()?;
    let notes = masked_crun(directory.path(), "1.2.0")?;
    let mut options = Options::with(&Artifacts::from_env());
    options.path.push(directory.path().to_owned());
    let linux = Linux::with(&options)?;
    assert_eq!(linux.run("exit 5", b"")?.status.code(), Some(5));
    let notes = fs::read_to_string(notes)?;
    for word in [" create ", " start ", " delete "] {
        assert!(notes.contains(word), "{notes}");
    }
    linux.clean()
}

#[test]
fn a_crun_that_is_too_old_is_passed_over_with_one_line() -> Result<()> {
    let directory = TempDir::new()?;
    let notes = masked_crun(directory.path(), "0.9.0")?;
    let mut options = Options::with(&Artifacts::from_env());
    options.path.push(directory.path().to_owned());
    let linux = Linux::with(&options)?;
    assert_eq!(linux.run("exit 5", b"")?.status.code(), Some(5));
    assert!(!notes.exists());
    let line = "crun takes specifications of version 1.0 to 0.9, this one is";
    let said = || (linux.bed.containerd.log().matches(line).count() == 1).then_some(());
    wait_for("the line in the log", DEADLINE, said)?;
    linux.clean()
}

const CONFIG: &str = r#"{"ociVersion":"1.0.2","process":{"args":["/bin/sh"]},"root":{"path":"rootfs"}}"#;

/// What a call in a bundle with a Linux image complains of when `PATH` is `directories`.
fn complaint(directories: &str, words: &[&str]) -> String {
    let bundle = bundle_with(CONFIG);
    let output = output(call(bundle.path(), words).env("PATH", directories));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn what_is_missing_is_named() -> Result<()> {
    let directory = TempDir::new()?;
    let path = directory.path().to_string_lossy().into_owned();
    assert_eq!(
        complaint(&path, &["start"]),
        "containerd-shim-mica-v2: this is a linux image and neither crun nor runc is in PATH: install one"
    );
    script(&directory.path().join("runc"), "exit 1")?;
    let no_shim = "containerd-shim-mica-v2: this is a linux image and containerd-shim-runc-v2 is neither in PATH nor \
                   beside containerd: install it";
    assert_eq!(complaint(&path, &["start"]), no_shim);
    assert_eq!(complaint(&path, &["-publish-binary", "containerd", "start"]), no_shim);
    Ok(())
}

#[test]
fn the_other_shim_gets_everything_as_it_was() -> Result<()> {
    let (path, beside) = (TempDir::new()?, TempDir::new()?);
    script(&path.path().join("runc"), "exit 1")?;
    // Builtins only: nothing else is in the path.
    script(&beside.path().join(SHIM), "read -r line; echo \"$line|$PWD|$PATH|$VARIABLE|$*\"")?;
    let containerd = beside.path().join("containerd");
    let bundle = bundle_with(CONFIG);
    for action in ["start", "delete"] {
        let words = ["-publish-binary", &containerd.to_string_lossy(), "-debug", action];
        let mut command = call(bundle.path(), &words);
        command.env("PATH", path.path()).env("VARIABLE", "kept").stdin(Stdio::piped());
        let expected = format!(
            "untouched|{}|{}|kept|-namespace calls -id c1 -address {}/containerd.sock {}\n",
            bundle.path().display(),
            path.path().display(),
            bundle.path().display(),
            words.join(" ")
        );
        let mut child = command.spawn()?;
        child.stdin.take().context("a pipe")?.write_all(b"untouched\n")?;
        let output = finish(child);
        assert_eq!(
            String::from_utf8(output.stdout)?,
            expected,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success());
    }
    Ok(())
}

#[test]
fn delete_without_the_other_shim_still_answers() -> Result<()> {
    let empty = TempDir::new()?;
    let bundle = bundle_with(CONFIG);
    let output = output(call(bundle.path(), &["delete"]).env("PATH", empty.path()));
    assert!(output.status.success() && !output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr)?.contains("containerd-shim-runc-v2 is neither in PATH"));
    Ok(())
}

#[test]
fn delete_knows_the_other_shim_s_containers_without_their_configuration() -> Result<()> {
    let path = TempDir::new()?;
    script(&path.path().join(SHIM), "echo delegated")?;
    for (mark, expected) in [(false, false), (true, true)] {
        let bundle = bundle();
        fs::remove_file(bundle.path().join("config.json"))?;
        if mark {
            fs::write(bundle.path().join("runtime"), "runc")?;
        }
        let output = output(call(bundle.path(), &["delete"]).env("PATH", path.path()));
        assert!(output.status.success());
        assert_eq!(output.stdout == b"delegated\n", expected);
    }
    Ok(())
}

#[test]
fn groups_of_the_two_shims_have_different_sockets() -> Result<()> {
    let bundle = bundle();
    let ours = qemu_tests::by_hand::Server {
        address: qemu_tests::by_hand::address(&output(&mut call(bundle.path(), &["start"]))),
    };
    // What containerd's library hashes: join(address, namespace, group).
    let theirs = format!("{}/containerd.sock/calls/c1", bundle.path().display());
    let mut sum = Command::new("sha256sum");
    let sum = run_with_input(&mut sum, theirs.as_bytes(), DEADLINE)?.ok()?;
    let theirs = sum.text().split(' ').next().unwrap_or_default().to_owned();
    assert_eq!(theirs.len(), 64);
    assert!(!ours.address.ends_with(&theirs));
    Ok(())
}
