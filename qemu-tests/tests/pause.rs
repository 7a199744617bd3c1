//! A paused container: its core stands still, its console is silent, and nothing is lost.
//!
//! Each test has a containerd of its own, so that they run at once and each knows what it left.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use qemu_tests::{DEADLINE, PROMPT, Task, Testbed, ask, kill_9};

/// For what must not happen: the shorter, the quicker the test; it can't fail by being short.
const MOMENT: Duration = Duration::from_millis(500);

fn pause(bed: &Testbed, id: &str) -> Result<()> {
    bed.ctr.ok(&["task", "pause", id])?;
    assert_eq!(bed.task(id).status()?.as_deref(), Some("PAUSED"));
    Ok(())
}

fn resume(bed: &Testbed, id: &str) -> Result<()> {
    bed.ctr.ok(&["task", "resume", id])?;
    assert_eq!(bed.task(id).status()?.as_deref(), Some("RUNNING"));
    Ok(())
}

/// Sends a signal to a process.
fn signal(pid: u32, name: &str) -> Result<()> {
    ensure!(Command::new("kill").args([name, &pid.to_string()]).status()?.success());
    Ok(())
}

/// The state of a paused container's core, and of the rest: typed in vain, answered later, twice.
fn sleep_and_wake(variable: &str) -> Result<()> {
    let bed = Testbed::under(variable)?;
    let mut console = bed.console("sleeper")?;
    for round in ["one", "two"] {
        pause(&bed, "sleeper")?;
        console.send(format!("echo {round}\r").as_bytes())?;
        assert!(console.take(1, MOMENT).is_err(), "a core that stands still answers");
        resume(&bed, "sleeper")?;
        assert_eq!(console.expect(PROMPT, DEADLINE)?, format!("echo {round}\r\n{round}\r\n{PROMPT}"));
    }
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    bed.clean()
}

#[test]
fn a_core_sleeps_and_wakes_under_qemu_7() -> Result<()> {
    sleep_and_wake("MICRUN_QEMU_7")
}

#[test]
fn a_core_sleeps_and_wakes_under_qemu_10() -> Result<()> {
    sleep_and_wake("MICRUN_QEMU_10")
}

#[test]
fn a_flood_stands_still_and_goes_on_without_a_gap() -> Result<()> {
    const LEN: usize = 32 << 20;
    let bed = Testbed::new()?;
    let mut console = bed.console("flood")?;
    console.send(format!("flood {LEN}\r").as_bytes())?;
    console.expect("\r\n", DEADLINE)?;
    let mut flood = console.take(1 << 20, DEADLINE)?;
    pause(&bed, "flood")?;
    // What was on its way when the core stopped: rings, FIFO, client, terminal.
    while let Ok(more) = console.take(1, MOMENT) {
        flood.extend(more);
    }
    assert!(flood.len() < LEN, "the flood was over before the pause");
    resume(&bed, "flood")?;
    flood.extend(console.take(LEN - flood.len(), DEADLINE)?);
    let lines = flood.split_inclusive(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate() {
        assert!(line.starts_with(format!("{number:08}").as_bytes()), "line {number}");
    }
    assert_eq!(console.expect(PROMPT, DEADLINE)?, PROMPT);
    Ok(())
}

#[test]
fn pauses_are_events_between_start_and_exit() -> Result<()> {
    let bed = Testbed::new()?;
    let mut events = bed.events()?;
    let task = bed.detached("events")?;
    pause(&bed, "events")?;
    resume(&bed, "events")?;
    assert_eq!(task.end_by("SIGKILL")?, 137);
    events.expect("/tasks/delete", DEADLINE)?;
    let heard = String::from_utf8(events.transcript())?;
    let topics: Vec<&str> =
        heard.split_whitespace().filter_map(|word| word.strip_prefix("/tasks/")).collect();
    assert_eq!(topics, ["create", "start", "paused", "resumed", "exit", "delete"]);
    Ok(())
}

/// A paused container without a client.
fn paused<'b>(bed: &'b Testbed, id: &str) -> Result<Task<'b>> {
    let task = bed.detached(id)?;
    pause(bed, id)?;
    Ok(task)
}

#[test]
fn sigkill_ends_a_paused_container() -> Result<()> {
    let bed = Testbed::new()?;
    assert_eq!(paused(&bed, "killed")?.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn sigterm_wakes_a_paused_core_and_ends_it_orderly() -> Result<()> {
    let bed = Testbed::new()?;
    assert_eq!(paused(&bed, "asked")?.end_by("SIGTERM")?, 143);
    bed.clean()
}

#[test]
fn a_killed_emulator_ends_a_paused_container() -> Result<()> {
    let bed = Testbed::new()?;
    let task = paused(&bed, "crashed")?;
    kill_9(task.emulator()?)?;
    task.ended()?;
    assert_eq!(task.delete()?, 137);
    task.remove_container()?;
    bed.clean()
}

#[test]
fn stop_and_continue_are_pause_and_resume() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("signals")?;
    for (signal, status) in [("SIGSTOP", "PAUSED"), ("SIGCONT", "RUNNING")] {
        task.kill(signal)?;
        assert_eq!(task.status()?.as_deref(), Some(status));
    }
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn what_is_not_in_its_state_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("states")?;
    let complaint = |words: &[&str]| -> Result<String> {
        let refused = bed.ctr.run(words)?;
        assert!(!refused.status.success(), "{words:?}");
        Ok(refused.complaint().into_owned())
    };
    assert_eq!(
        complaint(&["task", "resume", "states"])?,
        "ctr: container \"states\" is running, resume needs it to be paused: failed precondition\n"
    );
    pause(&bed, "states")?;
    assert_eq!(
        complaint(&["task", "pause", "states"])?,
        "ctr: container \"states\" is paused, pause needs it to be running: failed precondition\n"
    );
    assert!(complaint(&["task", "delete", "states"])?.contains("must be stopped before deletion"));
    assert_eq!(task.end_by("SIGKILL")?, 137);
    let early = bed.created("early")?;
    assert_eq!(
        complaint(&["task", "pause", "early"])?,
        "ctr: container \"early\" is created, pause needs it to be running: failed precondition\n"
    );
    assert_eq!(early.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn an_emulator_that_hangs_delays_neither_the_answer_nor_others() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("hangs")?;
    let emulator = bed.task("hangs").emulator()?;
    signal(emulator, "-STOP")?;
    let refused = bed.ctr.run(&["task", "pause", "hangs"])?;
    assert_eq!(
        refused.complaint(),
        "ctr: no answer from the emulator's monitor within 2000 ms: unavailable\n"
    );
    assert_eq!(bed.task("hangs").status()?.as_deref(), Some("RUNNING"));
    signal(emulator, "-CONT")?;
    // The command that came too late was taken back.
    assert_eq!(ask(&mut console, "echo awake")?, "awake\r\n");
    pause(&bed, "hangs")?;
    bed.task("hangs").kill("SIGKILL")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(137));
    bed.clean()
}
