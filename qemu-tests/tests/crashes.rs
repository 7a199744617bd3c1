//! Whatever dies, and whenever: containerd learns of it, the same name can be used again, and nothing is left.
//!
//! Each test has a containerd of its own, so that they run at once and each knows what it left.

use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::{Artifacts, Ctr, DEADLINE, Pty, Task, Testbed, kill_9, lives, wait_for};

/// Containers in a row after which a leak of one thing per container would show.
const ROUNDS: usize = 20;

/// One life, to the end that hello itself chooses.
fn live(bed: &Testbed, id: &str) -> Result<()> {
    let mut console = bed.console(id)?;
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    bed.clean()
}

/// Waits until neither shim nor emulator of a task live.
fn both_end(shim: u32, emulator: u32) -> Result<()> {
    wait_for("the end of shim and emulator", DEADLINE, || (!lives(shim) && !lives(emulator)).then_some(()))
}

/// After a shim's death containerd cleans up by itself and forgets the task; a person removes the container.
fn forgotten(bed: &Testbed, task: &Task<'_>) -> Result<()> {
    task.gone()?;
    task.remove_container()?;
    bed.clean()
}

/// Waits for `topic` and gives its message.
fn hear(events: &mut Pty, topic: &str) -> Result<String> {
    events.expect(topic, DEADLINE)?;
    events.expect("}", DEADLINE)
}

/// SIGTERM, as from a service manager.
fn terminate(pid: u32) -> Result<()> {
    anyhow::ensure!(Command::new("kill").args(["-TERM", &pid.to_string()]).status()?.success());
    Ok(())
}

#[test]
fn twenty_containers_in_a_row_leave_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    (0..ROUNDS).try_for_each(|_| live(&bed, "round")).context("a round")
}

#[test]
fn twenty_detached_containers_in_a_row_leave_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    for _ in 0..ROUNDS {
        let task = bed.detached("round")?;
        assert_eq!(task.end_by("SIGKILL")?, 137);
        bed.clean()?;
    }
    Ok(())
}

#[test]
fn a_shim_killed_while_its_container_runs_takes_the_core_along() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("shim")?;
    let (shim, emulator) = (task.pid()?, task.emulator()?);
    let mut events = bed.events()?;
    kill_9(shim)?;
    assert!(hear(&mut events, "/tasks/exit")?.contains("\"exit_status\":137"));
    drop(events);
    both_end(shim, emulator)?;
    forgotten(&bed, &task)?;
    live(&bed, "shim")
}

#[test]
fn a_shim_killed_under_an_attached_client_ends_the_client() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("attached")?;
    let task = bed.task("attached");
    let (shim, emulator) = (task.pid()?, task.emulator()?);
    kill_9(shim)?;
    assert!(!console.wait(DEADLINE)?.success());
    both_end(shim, emulator)?;
    task.gone()?;
    bed.clean()
}

#[test]
fn a_killed_emulator_is_a_container_s_end_with_137() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("emulator")?;
    kill_9(bed.task("emulator").emulator()?)?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(137));
    bed.clean()?;
    live(&bed, "emulator")
}

#[test]
fn an_emulator_that_catches_its_signal_is_no_success() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("caught")?;
    // QEMU catches SIGTERM and ends with exit code 0, as if the firmware had switched the board off.
    terminate(bed.task("caught").emulator()?)?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(143));
    bed.clean()
}

#[test]
fn a_shim_that_is_asked_to_end_ends_its_container_orderly() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("asked")?;
    let (shim, emulator) = (task.pid()?, task.emulator()?);
    let mut events = bed.events()?;
    terminate(shim)?;
    assert!(hear(&mut events, "/tasks/exit")?.contains("\"exit_status\":143"));
    drop(events);
    both_end(shim, emulator)?;
    forgotten(&bed, &task)
}

#[test]
fn a_shim_killed_before_the_start_leaves_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.created("created")?;
    kill_9(task.pid()?)?;
    forgotten(&bed, &task)?;
    live(&bed, "created")
}

#[test]
fn a_shim_killed_after_the_end_has_left_the_exit_status_behind() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("ended")?;
    let mut events = bed.events()?;
    std::fs::write(task.fifo("stdin")?, "exit 3\r")?;
    task.ended()?;
    assert!(hear(&mut events, "/tasks/exit")?.contains("\"exit_status\":3"));
    kill_9(task.pid()?)?;
    assert!(hear(&mut events, "/tasks/delete")?.contains("\"exit_status\":3"));
    drop(events);
    forgotten(&bed, &task)?;
    live(&bed, "ended")
}

#[test]
fn a_client_killed_in_the_foreground_leaves_a_task_that_can_be_ended() -> Result<()> {
    let bed = Testbed::new()?;
    bed.console("orphan")?.detach()?;
    let task = bed.task("orphan");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    assert_eq!(task.end_by("SIGTERM")?, 143);
    bed.clean()
}

/// The one task of a namespace: its id, pid and status.
fn only_task(ctr: &Ctr) -> Result<String> {
    let table = ctr.ok(&["task", "ls"])?;
    Ok(table.lines().nth(1).context("a task")?.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_crash_in_one_namespace_touches_nothing_of_another() -> Result<()> {
    let bed = Testbed::new()?;
    let other = bed.containerd.ctr("other");
    other.import(&Artifacts::from_env().hello())?;
    let ours = bed.detached("same")?;
    let arguments = bed.run_words(&["-d", "--null-io"], Artifacts::HELLO, "same");
    other.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let running = only_task(&other)?;
    assert!(running.ends_with("RUNNING") && !running.contains(&ours.pid()?.to_string()), "{running}");
    kill_9(ours.pid()?)?;
    ours.gone()?;
    ours.remove_container()?;
    assert_eq!(only_task(&other)?, running);
    other.ok(&["task", "kill", "-s", "SIGKILL", "same"])?;
    let stopped = || only_task(&other).is_ok_and(|task| task.ends_with("STOPPED")).then_some(());
    wait_for("the other one's end", DEADLINE, stopped)?;
    other.ok(&["task", "delete", "same"])?;
    other.ok(&["container", "delete", "same"])?;
    bed.clean()
}
