//! RTOS containers under Docker, which mounts the root file system itself and names it by an absolute path.
//!
//! Each test has a Docker of its own, so that they run at once and each knows what it left.

use anyhow::Result;
use qemu_tests::{Artifacts, DEADLINE, Docker, PROMPT, Pty, RUNTIME, Version, ask, run_with_input, wait_for};

/// What hello says first.
const BANNER: &str = "micrun test RTOS ";
/// Docker's keys to leave a terminal: Ctrl-P, Ctrl-Q.
const LEAVE: &[u8] = b"\x10\x11";

/// A Docker that has loaded hello; its containerd is that of the same Debian.
fn docker() -> Result<Docker> {
    let docker = Docker::start(&Version::V1_7.options())?;
    let hello = Artifacts::from_env().hello();
    assert_eq!(
        docker.ok(&["load", "--input", &hello.to_string_lossy()])?,
        format!("Loaded image: {}", Artifacts::HELLO)
    );
    Ok(docker)
}

/// The words of `docker run options... hello`.
fn words<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["run", "--network", "none", "--runtime", RUNTIME], options, &[Artifacts::HELLO]].concat()
}

/// Runs hello in the background on a terminal.
fn detached(docker: &Docker, name: &str, options: &[&str]) -> Result<()> {
    docker.ok(&words(&[&["--detach", "--interactive", "--tty", "--name", name], options].concat())).map(drop)
}

/// Attaches and waits for a prompt after which nothing comes by itself.
fn attach(docker: &Docker, name: &str) -> Result<Pty> {
    let mut console = docker.pty(&["attach", name])?;
    console.send(b"echo attached\r")?;
    console.expect(&format!("\r\nattached\r\n{PROMPT}"), DEADLINE)?;
    Ok(console)
}

#[test]
fn hello_runs_on_a_terminal() -> Result<()> {
    let docker = docker()?;
    let mut console = docker.pty(&words(&["--rm", "--interactive", "--tty", "--name", "visit"]))?;
    assert!(console.expect(PROMPT, DEADLINE)?.starts_with(BANNER));
    assert_eq!(ask(&mut console, "echo two words")?, "two words\r\n");
    assert_eq!(docker.inspect("visit", ".State.Status")?, "running");
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    docker.clean()
}

#[test]
fn input_from_a_pipe_is_read_and_output_goes_to_one() -> Result<()> {
    let docker = docker()?;
    let mut run = docker.command(&words(&["--rm", "--interactive"]));
    let output = run_with_input(&mut run, b"echo piped\rexit 4\r", DEADLINE)?;
    assert_eq!(output.status.code(), Some(4), "{}", output.complaint());
    assert!(output.text().contains("\r\npiped\r\n"), "{}", output.text());
    docker.clean()
}

#[test]
fn a_container_in_the_background_is_logged_left_and_stopped() -> Result<()> {
    let docker = docker()?;
    detached(&docker, "back", &[])?;
    let mut console = attach(&docker, "back")?;
    assert_eq!(ask(&mut console, "echo for the log")?, "for the log\r\n");
    console.send(LEAVE)?;
    console.expect("read escape sequence", DEADLINE)?;
    console.wait(DEADLINE)?;
    assert_eq!(docker.inspect("back", ".State.Status")?, "running");
    docker.ok(&["stop", "back"])?;
    assert_eq!(docker.inspect("back", ".State.Status")?, "exited");
    // The firmware powered itself off: 137 would say that Docker's patience ended first.
    assert_eq!(docker.inspect("back", ".State.ExitCode")?, "143");
    let logged = docker.ok(&["logs", "back"])?;
    assert!(logged.starts_with(BANNER) && logged.contains("\r\nfor the log\r\n"), "{logged}");
    docker.ok(&["rm", "back"])?;
    docker.clean()
}

#[test]
fn a_killed_container_is_started_again_and_removed_by_force() -> Result<()> {
    let docker = docker()?;
    detached(&docker, "killed", &[])?;
    docker.ok(&["kill", "killed"])?;
    docker.becomes("killed", ".State.Status", "exited")?;
    assert_eq!(docker.inspect("killed", ".State.ExitCode")?, "137");
    docker.ok(&["start", "killed"])?;
    drop(attach(&docker, "killed")?);
    docker.ok(&["rm", "--force", "killed"])?;
    docker.clean()
}

#[test]
fn a_crash_is_an_exit_code_and_on_failure_a_new_start() -> Result<()> {
    let docker = docker()?;
    detached(&docker, "crash", &["--restart", "on-failure:3"])?;
    let mut console = attach(&docker, "crash")?;
    console.send(b"crash\r")?;
    console.expect("fault: data abort", DEADLINE)?;
    docker.becomes("crash", ".RestartCount", "1")?;
    docker.becomes("crash", ".State.Status", "running")?;
    let logged =
        || docker.ok(&["logs", "crash"]).is_ok_and(|log| log.matches(BANNER).count() == 2).then_some(());
    wait_for("the second banner", DEADLINE, logged)?;
    // A success ends it: the policy speaks of failures.
    let mut console = attach(&docker, "crash")?;
    console.send(b"exit 0\r")?;
    assert!(console.wait(DEADLINE)?.success());
    docker.becomes("crash", ".State.Status", "exited")?;
    assert_eq!(docker.inspect("crash", ".RestartCount")?, "1");
    docker.ok(&["rm", "crash"])?;
    detached(&docker, "once", &[])?;
    let mut console = attach(&docker, "once")?;
    console.send(b"crash\r")?;
    console.expect("fault: data abort", DEADLINE)?;
    assert_eq!(docker.ok(&["wait", "once"])?, "139");
    docker.ok(&["rm", "once"])?;
    docker.clean()
}

#[test]
fn figures_are_shown_and_a_container_can_be_paused() -> Result<()> {
    let docker = docker()?;
    detached(&docker, "figures", &[])?;
    let figures =
        docker.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.CPUPerc}}", "figures"])?;
    assert!(figures.contains("MiB /") && figures.ends_with('%'), "{figures}");
    docker.ok(&["pause", "figures"])?;
    assert_eq!(docker.inspect("figures", ".State.Status")?, "paused");
    docker.ok(&["unpause", "figures"])?;
    drop(attach(&docker, "figures")?);
    docker.ok(&["rm", "--force", "figures"])?;
    docker.clean()
}

#[test]
fn refusals_are_said_to_the_person_who_asked() -> Result<()> {
    let docker = docker()?;
    let annotation = ["--rm", "--annotation", "org.openeuler.micrun.ped.pedestal=none"];
    let refused = docker.run(&words(&annotation))?;
    assert!(refused.complaint().contains("pedestal \"none\" is not supported"), "{}", refused.complaint());
    detached(&docker, "refuses", &[])?;
    let exec = docker.run(&["exec", "refuses", "uname"])?;
    assert!(format!("{}{}", exec.text(), exec.complaint()).contains("an rtos has no processes to exec"));
    docker.ok(&["rm", "--force", "refuses"])?;
    docker.clean()
}

#[test]
fn a_container_lives_through_a_death_of_dockerd() -> Result<()> {
    let mut docker = docker()?;
    detached(&docker, "lives", &[])?;
    drop(attach(&docker, "lives")?);
    let pid = docker.inspect("lives", ".State.Pid")?;
    docker.kill_and_restart()?;
    assert_eq!(docker.inspect("lives", ".State.Pid")?, pid);
    let mut console = attach(&docker, "lives")?;
    assert_eq!(ask(&mut console, "echo still here")?, "still here\r\n");
    console.send(b"exit 5\r")?;
    assert_eq!(docker.ok(&["wait", "lives"])?, "5");
    docker.ok(&["rm", "lives"])?;
    docker.clean()
}
