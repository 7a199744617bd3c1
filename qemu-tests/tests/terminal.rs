//! The harness's terminal and its command runner, proved on ordinary programs: what later tests blame on micrun
//! must not be the harness's own doing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use qemu_tests::{Pty, run, wait_for};

const DEADLINE: Duration = Duration::from_secs(30);
/// For what must not happen: the shorter, the quicker the test; it can't fail by being short.
const MOMENT: Duration = Duration::from_millis(200);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

#[test]
fn a_dialogue_is_read_in_order() -> Result<()> {
    let mut pty = Pty::spawn(&shell("read a; echo first=$a; read b; echo second=$b; exit 7"))?;
    pty.send(b"x\n")?;
    assert_eq!(pty.expect("first=x\r\n", DEADLINE)?, "x\r\nfirst=x\r\n");
    pty.send(b"y\n")?;
    assert!(pty.expect("second=y", DEADLINE)?.starts_with("y\r\n"));
    assert_eq!(pty.wait(DEADLINE)?.code(), Some(7));
    Ok(())
}

#[test]
fn what_was_read_is_not_found_again() -> Result<()> {
    let mut pty = Pty::spawn(&shell("echo one"))?;
    pty.expect("one", DEADLINE)?;
    let error = pty.expect("one", DEADLINE).unwrap_err().to_string();
    assert!(error.contains("no \"one\"") && error.contains("the output has ended"), "{error}");
    Ok(())
}

#[test]
fn a_pattern_in_two_pieces_is_found() -> Result<()> {
    let mut pty = Pty::spawn(&shell("printf log; read a; printf 'in: '; read a"))?;
    pty.expect("lo", DEADLINE)?;
    pty.send(b"\n")?;
    assert_eq!(pty.expect("in: ", DEADLINE)?.replace("\r\n", ""), "gin: ");
    Ok(())
}

#[test]
fn all_byte_values_pass_a_raw_terminal() -> Result<()> {
    let mut pty = Pty::spawn(&shell("stty raw -echo; echo ready; head -c 256"))?;
    pty.expect("ready\n", DEADLINE)?;
    let all: Vec<u8> = (0..=255).collect();
    pty.send(&all)?;
    assert_eq!(pty.take(256, DEADLINE)?, all);
    Ok(())
}

#[test]
fn a_paused_reader_holds_the_program_up() -> Result<()> {
    let mut pty =
        Pty::spawn(&shell("stty raw -echo; echo ready; read a; head -c 1000000 /dev/zero; echo end"))?;
    pty.expect("ready\n", DEADLINE)?;
    pty.pause();
    pty.send(b"\n")?;
    assert!(pty.wait(MOMENT).is_err(), "a terminal took a megabyte that nobody read");
    pty.resume();
    assert_eq!(pty.expect("end", DEADLINE)?.trim_start_matches('\0'), "end");
    assert!(pty.wait(DEADLINE)?.success());
    Ok(())
}

#[test]
fn a_line_feed_comes_alone_only_where_asked_for() -> Result<()> {
    assert_eq!(Pty::spawn(&shell("echo a"))?.take(3, DEADLINE)?, b"a\r\n");
    assert_eq!(Pty::spawn_unchanged(&shell("echo a; echo b"))?.take(4, DEADLINE)?, b"a\nb\n");
    Ok(())
}

#[test]
fn the_size_is_the_program_s_size() -> Result<()> {
    let mut pty = Pty::spawn(&shell("trap 'stty size' WINCH; stty size; while :; do read a; done"))?;
    pty.expect("24 80\r\n", DEADLINE)?;
    pty.resize(40, 100)?;
    // A shell runs its trap when the command under way has ended.
    pty.send(b"\n")?;
    let said = pty.expect("40 100\r\n", DEADLINE)?;
    assert!(!said.contains("40 80"), "the size changed in two steps: {said:?}");
    Ok(())
}

#[test]
fn dropping_a_terminal_ends_its_program() -> Result<()> {
    let mut pty = Pty::spawn(&shell("echo pid=$$.; read a"))?;
    let line = pty.expect(".", DEADLINE)?;
    let pid = line.trim_start_matches("pid=").trim_end_matches('.').to_owned();
    let process = format!("/proc/{pid}");
    assert!(Path::new(&process).exists());
    drop(pty);
    wait_for("the shell's end", DEADLINE, || (!Path::new(&process).exists()).then_some(()))
}

#[test]
fn a_daemon_that_keeps_the_output_open_is_not_waited_for() -> Result<()> {
    let output = run(&mut shell("sleep 60 & echo $!"), DEADLINE)?.ok()?;
    run(&mut shell(&format!("kill {}", output.text().trim())), DEADLINE)?.ok()?;
    Ok(())
}

#[test]
fn a_program_that_does_not_end_is_killed_and_named() {
    let error = format!("{:#}", run(&mut shell("echo reason >&2; exec sleep 60"), MOMENT).unwrap_err());
    assert!(error.contains("reason") && error.contains("exec sleep 60: not within"), "{error}");
}

#[test]
fn a_failure_carries_the_complaint() {
    let output = run(&mut shell("echo so not >&2; exit 3"), DEADLINE).unwrap();
    assert_eq!(output.status.code(), Some(3));
    let error = output.ok().unwrap_err().to_string();
    assert!(error.ends_with("exit status: 3: so not"), "{error}");
}
