//! A container's life under a real containerd: run, attach, signals, exit statuses, and everything refused with a
//! sentence. Nothing may be left after any of it.
//!
//! Each test has a containerd of its own, so that they run at once and each knows what it left.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Testbed, ask};

/// For what must not happen: the shorter, the quicker the test; it can't fail by being short.
const MOMENT: Duration = Duration::from_millis(300);

/// Banner and the answers that every QEMU must give, in the order of a first visit.
fn visit(bed: &Testbed) -> Result<()> {
    let arguments = bed.run_words(&["--rm", "-t"], Artifacts::HELLO, "visit");
    let mut console = bed.ctr.pty(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let banner = console.expect(PROMPT, DEADLINE)?;
    assert_eq!(banner, format!("micrun test RTOS {} on CPU 3\r\n{PROMPT}", env!("CARGO_PKG_VERSION")));
    assert_eq!(ask(&mut console, "help")?, test_rtos::shell::HELP);
    let uname = format!("micrun test RTOS {} aarch64\r\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ask(&mut console, "uname")?, uname);
    assert_eq!(ask(&mut console, "echo  two  spaces")?, " two  spaces\r\n");
    assert!(ask(&mut console, "uptime")?.starts_with("up "));
    assert_eq!(ask(&mut console, "frob")?, "frob: unknown command, try help\r\n");
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    bed.clean()
}

#[test]
fn the_hello_world_runs_under_qemu_7() -> Result<()> {
    visit(&Testbed::under("MICRUN_QEMU_7")?)
}

#[test]
fn the_hello_world_runs_under_qemu_10() -> Result<()> {
    visit(&Testbed::under("MICRUN_QEMU_10")?)
}

/// Ends hello by a command and gives the status that `ctr run` ends with.
fn status_after(command: &str) -> Result<Option<i32>> {
    let bed = Testbed::new()?;
    let mut console = bed.console("ends")?;
    console.send(format!("{command}\r").as_bytes())?;
    let status = console.wait(DEADLINE)?.code();
    bed.clean()?;
    Ok(status)
}

#[test]
fn the_firmware_s_own_status_is_the_container_s() -> Result<()> {
    assert_eq!(status_after("exit 0")?, Some(0));
    assert_eq!(status_after("exit 255")?, Some(255));
    Ok(())
}

#[test]
fn a_board_that_is_switched_off_is_told_from_one_that_is_reset() -> Result<()> {
    for variable in ["MICRUN_QEMU_7", "MICRUN_QEMU_10"] {
        let bed = Testbed::under(variable)?;
        for (command, status) in [("off", 0), ("reset", 1)] {
            let mut console = bed.console(command)?;
            console.send(format!("{command}\r").as_bytes())?;
            assert_eq!(console.wait(DEADLINE)?.code(), Some(status), "{variable} {command}");
            assert!(console.transcript().ends_with(format!("{PROMPT}{command}\r\n").as_bytes()));
        }
        bed.clean()?;
    }
    Ok(())
}

#[test]
fn a_fault_has_its_own_status_and_is_named_on_the_console() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("crash")?;
    console.send(b"crash\r")?;
    console.expect("fault: data abort at 0x7a00", DEADLINE)?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(139));
    bed.clean()
}

#[test]
fn another_size_of_the_terminal_does_not_disturb() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("resize")?;
    console.send(b"echo one ")?;
    console.expect("echo one ", DEADLINE)?;
    for columns in [100, 132, 80] {
        console.resize(40, columns)?;
    }
    console.send(b"two\r")?;
    assert_eq!(console.expect(PROMPT, DEADLINE)?, format!("two\r\none two\r\n{PROMPT}"));
    Ok(())
}

#[test]
fn a_detached_container_is_attached_to_twice() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("attach")?;
    let mut first = task.attach()?;
    first.send(b"\r")?;
    first.expect(PROMPT, DEADLINE)?;
    first.detach()?;
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    let mut second = task.attach()?;
    second.send(b"echo later\r")?;
    second.expect("\r\nlater\r\n", DEADLINE)?;
    second.detach()?;
    assert_eq!(task.end_by("SIGTERM")?, 143);
    bed.clean()
}

#[test]
fn what_is_said_while_nobody_is_attached_is_not_lost() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("alone")?;
    let mut first = task.attach()?;
    first.send(b"\r")?;
    first.expect(PROMPT, DEADLINE)?;
    first.detach()?;
    fs::write(task.fifo("stdin")?, "echo later\r")?;
    task.attach()?.expect("echo later\r\nlater\r\n", DEADLINE)?;
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn a_firmware_that_hangs_outlives_sigterm_and_not_sigkill() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("hang")?;
    let task = bed.task("hang");
    console.send(b"hang\r")?;
    console.expect("hang\r\n", DEADLINE)?;
    task.kill("SIGTERM")?;
    assert!(console.wait(MOMENT).is_err(), "a firmware that answers nothing powered itself off");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    task.kill("SIGKILL")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(137));
    bed.clean()
}

#[test]
fn a_running_task_is_not_deleted() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("running")?;
    let refused = bed.ctr.run(&["task", "delete", "running"])?;
    assert!(refused.complaint().contains("must be stopped before deletion"), "{}", refused.complaint());
    assert_eq!(ask(&mut console, "echo still here")?, "still here\r\n");
    Ok(())
}

#[test]
fn a_task_that_was_never_started_is_deleted() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.created("created")?;
    // Like runc's: clients refuse to delete what was created, and end it first.
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn a_task_that_was_never_started_is_deleted_by_force() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.created("forced")?;
    bed.ctr.ok(&["task", "delete", "--force", "forced"])?;
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_container_of_two_steps_runs() -> Result<()> {
    let bed = Testbed::new()?;
    bed.ctr.ok(&["container", "create", "--runtime", qemu_tests::RUNTIME, Artifacts::HELLO, "steps"])?;
    let task = bed.task("steps");
    assert_eq!(task.status()?, None);
    // Twice: a container outlives its tasks.
    for _ in 0..2 {
        bed.ctr.ok(&["task", "start", "-d", "steps"])?;
        assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
        task.kill("SIGTERM")?;
        task.ended()?;
        assert_eq!(task.delete()?, 143);
    }
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_second_container_of_that_id_is_refused_and_disturbs_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("twice")?;
    let run = bed.run(&["--rm"], Artifacts::HELLO, "twice")?;
    assert!(run.complaint().contains("already exists"), "{}", run.complaint());
    let mut start = bed.ctr.pty(&["task", "start", "-d", "twice"])?;
    start.expect("already exists", DEADLINE)?;
    assert_eq!(ask(&mut console, "echo alone")?, "alone\r\n");
    console.send(b"exit 0\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(0));
    bed.clean()
}

#[test]
fn two_containers_have_a_core_and_a_console_each() -> Result<()> {
    let bed = Testbed::new()?;
    let (mut one, mut two) = (bed.console("one")?, bed.console("two")?);
    assert_ne!(bed.task("one").emulator()?, bed.task("two").emulator()?);
    assert_eq!(ask(&mut one, "echo first")?, "first\r\n");
    assert_eq!(ask(&mut two, "echo second")?, "second\r\n");
    one.send(b"exit 1\r")?;
    assert_eq!(one.wait(DEADLINE)?.code(), Some(1));
    assert_eq!(ask(&mut two, "echo goes on")?, "goes on\r\n");
    two.send(b"exit 2\r")?;
    assert_eq!(two.wait(DEADLINE)?.code(), Some(2));
    bed.clean()
}

#[test]
fn what_a_core_has_not_is_answered_with_a_sentence() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("powers")?;
    let refusals = [
        (
            vec!["task", "exec", "--exec-id", "e", "powers", "uname"],
            "ctr: an rtos has no processes to exec: use its console (attach): not implemented\n",
        ),
        (
            vec!["task", "checkpoint", "powers"],
            "ctr: a core cannot be checkpointed: stop the container and start a new one: not implemented\n",
        ),
        (
            vec!["task", "kill", "-s", "SIGUSR1", "powers"],
            "ctr: signal 10 means nothing to an rtos: use 15 (orderly power-off) or 9 (power is cut): invalid argument\n",
        ),
    ];
    for (words, sentence) in refusals {
        let refused = bed.ctr.run(&words)?;
        assert!(!refused.status.success());
        assert_eq!(refused.complaint(), sentence);
    }
    assert_eq!(ask(&mut console, "echo unimpressed")?, "unimpressed\r\n");
    Ok(())
}

#[test]
fn process_and_metrics_are_those_of_the_emulated_core() -> Result<()> {
    let bed = Testbed::new()?;
    let _console = bed.console("figures")?;
    let task = bed.task("figures");
    let ps = bed.ctr.ok(&["task", "ps", "figures"])?;
    assert!(ps.contains(&task.pid()?.to_string()), "{ps}");
    let metrics = bed.ctr.ok(&["task", "metrics", "figures"])?;
    let figure = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    // The names of the two cgroup versions. The board has 1 GiB; QEMU has a thread per core, at least.
    let limit = figure("memory.limit_in_bytes").or(figure("memory.usage_limit"));
    assert_eq!(limit, Some(1 << 30), "{metrics}");
    assert!(figure("pids.current").is_some_and(|threads| threads > 4), "{metrics}");
    let memory = figure("memory.usage_in_bytes").or(figure("memory.usage"));
    let cpu = figure("cpuacct.usage ").or(figure("cpu.usage_usec"));
    assert!(memory.is_some_and(|bytes| bytes > 1 << 20), "{metrics}");
    assert!(cpu.is_some_and(|time| time > 0), "{metrics}");
    Ok(())
}

#[test]
fn events_come_in_the_order_of_life() -> Result<()> {
    let bed = Testbed::new()?;
    let mut events = bed.events()?;
    let mut console = bed.console("events")?;
    console.send(b"exit 3\r")?;
    console.wait(DEADLINE)?;
    events.expect("/tasks/delete", DEADLINE)?;
    let heard = String::from_utf8(events.transcript())?;
    let topics: Vec<&str> = heard.split_whitespace().filter(|word| word.starts_with("/tasks/")).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    let exit = heard.lines().find(|line| line.contains("/tasks/exit")).unwrap_or_default();
    assert!(exit.contains("\"container_id\":\"events\"") && exit.contains("\"exit_status\":3"), "{exit}");
    Ok(())
}
