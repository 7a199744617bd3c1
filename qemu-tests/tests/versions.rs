//! A container's life under every containerd, through that containerd's own `ctr`: what a user sees is the same, and
//! so it is when containerd, the shim or both are killed.
//!
//! Each test has a containerd of its own, so that they run at once and each knows what it left.

use anyhow::Result;
use qemu_tests::{
    Artifacts, DEADLINE, PROMPT, Pty, Testbed, Version, ask, kill_9, lives, under_every_containerd, wait_for,
};

under_every_containerd!(
    speaks_and_ends_with_its_own_status,
    ends_by_a_signal,
    tells_events_in_the_order_of_life,
    says_what_it_can_not_do,
    lives_through_a_restart_of_containerd,
    ends_while_containerd_is_away,
    is_over_when_its_shim_is_killed,
    is_over_when_containerd_and_shim_are_killed,
);

fn bed(version: Version) -> Result<Testbed> {
    Testbed::with(&version.options())
}

/// Attaches to a task and reads on to a prompt after which nothing comes by itself: whether the first one is still to
/// come depends on who was attached before.
fn attach(bed: &Testbed, id: &str) -> Result<Pty> {
    let mut console = bed.task(id).attach()?;
    console.send(b"echo attached\r")?;
    console.expect(&format!("\r\nattached\r\n{PROMPT}"), DEADLINE)?;
    Ok(console)
}

/// Kills containerd as the kernel does when it is out of memory.
fn kill_containerd(bed: &Testbed) -> Result<()> {
    kill_9(bed.containerd.pid())
}

/// The exit status in the next message of `topic`.
fn exit_status(events: &mut Pty, topic: &str) -> Result<u32> {
    events.expect(topic, DEADLINE)?;
    let message = events.expect("}", DEADLINE)?;
    let (_, status) = message.split_once("\"exit_status\":").unwrap_or_default();
    let digits = status.split(|end: char| !end.is_ascii_digit()).next().unwrap_or_default();
    Ok(digits.parse()?)
}

fn speaks_and_ends_with_its_own_status(version: Version) -> Result<()> {
    let bed = bed(version)?;
    let mut console = bed.console("speaks")?;
    assert_eq!(ask(&mut console, "echo two words")?, "two words\r\n");
    console.resize(40, 100)?;
    assert_eq!(bed.task("speaks").status()?.as_deref(), Some("RUNNING"));
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    bed.clean()
}

fn ends_by_a_signal(version: Version) -> Result<()> {
    let bed = bed(version)?;
    for (signal, status) in [("SIGTERM", 143), ("SIGKILL", 137)] {
        let task = bed.detached("signal")?;
        attach(&bed, "signal")?.detach()?;
        assert_eq!(task.end_by(signal)?, status, "{signal}");
        bed.clean()?;
    }
    Ok(())
}

fn tells_events_in_the_order_of_life(version: Version) -> Result<()> {
    let bed = bed(version)?;
    let mut events = bed.events()?;
    let mut console = bed.console("events")?;
    console.send(b"exit 3\r")?;
    console.wait(DEADLINE)?;
    events.expect("/tasks/delete", DEADLINE)?;
    let heard = String::from_utf8(events.transcript())?;
    let topics: Vec<&str> = heard.split_whitespace().filter(|word| word.starts_with("/tasks/")).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    Ok(())
}

fn says_what_it_can_not_do(version: Version) -> Result<()> {
    let bed = bed(version)?;
    let _console = bed.console("refuses")?;
    let exec = bed.ctr.run(&["task", "exec", "--exec-id", "e", "refuses", "uname"])?;
    assert!(exec.complaint().contains("an rtos has no processes to exec: use its console (attach)"));
    let delete = bed.ctr.run(&["task", "delete", "refuses"])?;
    assert!(delete.complaint().contains("must be stopped before deletion"), "{}", delete.complaint());
    let twice = bed.run(&["--rm"], Artifacts::HELLO, "refuses")?;
    assert!(twice.complaint().contains("already exists"), "{}", twice.complaint());
    Ok(())
}

fn lives_through_a_restart_of_containerd(version: Version) -> Result<()> {
    let mut bed = bed(version)?;
    bed.detached("lives")?;
    attach(&bed, "lives")?.detach()?;
    let pid = bed.task("lives").pid()?;
    kill_containerd(&bed)?;
    bed.containerd.restart()?;
    let task = bed.task("lives");
    assert_eq!((task.pid()?, task.status()?.as_deref()), (pid, Some("RUNNING")));
    let mut console = attach(&bed, "lives")?;
    assert_eq!(ask(&mut console, "echo still here")?, "still here\r\n");
    let mut events = bed.events()?;
    console.send(b"exit 3\r")?;
    assert_eq!(exit_status(&mut events, "/tasks/exit")?, 3);
    // An attached client deletes the task at its end.
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    task.remove_container()?;
    drop(events);
    bed.clean()
}

fn ends_while_containerd_is_away(version: Version) -> Result<()> {
    let mut bed = bed(version)?;
    let task = bed.detached("alone")?;
    let (stdin, emulator) = (task.fifo("stdin")?, task.emulator()?);
    kill_containerd(&bed)?;
    std::fs::write(stdin, "exit 3\r")?;
    wait_for("the emulator's end", DEADLINE, || (!lives(emulator)).then_some(()))?;
    bed.containerd.restart()?;
    let task = bed.task("alone");
    task.ended()?;
    assert_eq!(task.delete()?, 3);
    task.remove_container()?;
    bed.clean()
}

fn is_over_when_its_shim_is_killed(version: Version) -> Result<()> {
    let bed = bed(version)?;
    let task = bed.detached("shim")?;
    let (shim, emulator) = (task.pid()?, task.emulator()?);
    let mut events = bed.events()?;
    kill_9(shim)?;
    assert_eq!(exit_status(&mut events, "/tasks/exit")?, 137);
    drop(events);
    wait_for("the emulator's end", DEADLINE, || (!lives(emulator)).then_some(()))?;
    task.gone()?;
    task.remove_container()?;
    bed.clean()?;
    assert_eq!(bed.detached("shim")?.end_by("SIGKILL")?, 137);
    bed.clean()
}

fn is_over_when_containerd_and_shim_are_killed(version: Version) -> Result<()> {
    let mut bed = bed(version)?;
    let task = bed.detached("both")?;
    let (shim, emulator) = (task.pid()?, task.emulator()?);
    kill_containerd(&bed)?;
    kill_9(shim)?;
    wait_for("the emulator's end", DEADLINE, || (!lives(emulator)).then_some(()))?;
    bed.containerd.restart()?;
    let task = bed.task("both");
    task.gone()?;
    task.remove_container()?;
    bed.clean()?;
    assert_eq!(bed.detached("both")?.end_by("SIGTERM")?, 143);
    bed.clean()
}
