//! A real gdb looks into firmware that runs in a container, through the socket in the bundle and the debug rings.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qemu_tests::{Artifacts, DEADLINE, Pty, Testbed, ask, run};

/// Debian's gdb for all machines, which the tests install.
const GDB: &str = "gdb-multiarch";
/// Its prompt.
const READY: &str = "(gdb) ";
/// Where the test RTOS begins.
const BASE: u64 = 0x7a00_0000;

fn bundle(bed: &Testbed, id: &str) -> PathBuf {
    bed.containerd.directory().join("state/io.containerd.runtime.v2.task/micrun").join(id)
}

/// gdb that is connected to `id`'s firmware and has done `commands`.
fn gdb(bed: &Testbed, id: &str, commands: &[&str]) -> Command {
    let mut gdb = Command::new(GDB);
    // Without the control characters of a terminal.
    gdb.env("TERM", "dumb").args(["-nx", "-q"]).arg(Artifacts::from_env().rtos());
    let connect = format!("target remote {}", bundle(bed, id).join("gdb.sock").display());
    let first = ["set pagination off", "set style enabled off", "set remotetimeout 60", &connect];
    for command in first.iter().chain(commands) {
        gdb.args(["-ex", command]);
    }
    gdb
}

/// The value of the line that begins with `name`.
fn value(text: &str, name: &str) -> Result<u64> {
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} in {text}"))?;
    let word = line.split_whitespace().find_map(|word| word.strip_prefix("0x")).context("a number")?;
    Ok(u64::from_str_radix(word, 16)?)
}

#[test]
fn gdb_reads_registers_and_memory_and_lets_the_firmware_go_on() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("debugged")?;
    let commands = [
        "info registers pc sp cpsr",
        "x/4xw 0x7a000000",
        "set var *(int *)0x700ff000 = 0x12345678",
        "x/1xw 0x700ff000",
        "x/1xb 0x1000",
        "detach",
    ];
    let output = run(gdb(&bed, "debugged", &commands).arg("-batch"), DEADLINE)?.ok()?;
    let text = output.text();
    let pc = value(&text, "pc ")?;
    ensure!((BASE..BASE + 0x10_0000).contains(&pc) && pc % 4 == 0, "{text}");
    // On the stack of the RTOS, at EL1.
    ensure!(value(&text, "sp ")? > pc && value(&text, "cpsr ")? & 0xf == 5, "{text}");
    // The first instructions, as they stand in the file: segment 1 begins at page 1 of it.
    let mut file = Vec::new();
    File::open(Artifacts::from_env().rtos())?.read_to_end(&mut file)?;
    let at = u64::from_le_bytes(file[0x48..0x50].try_into()?) as usize;
    let words: Vec<String> = file[at..at + 16]
        .chunks_exact(4)
        .map(|word| format!("0x{:08x}", u32::from_le_bytes([word[0], word[1], word[2], word[3]])))
        .collect();
    ensure!(text.contains(&words.join("\t")), "{words:?} in {text}");
    ensure!(text.contains("0x12345678"), "{text}");
    ensure!(ask(&mut console, "echo still here")?.contains("still here"));
    console.send(b"exit 0\r")?;
    ensure!(console.wait(DEADLINE)?.success());
    bed.clean()
}

#[test]
fn ctrl_c_stops_firmware_that_runs() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("stopped")?;
    let mut gdb = Pty::spawn(&gdb(&bed, "stopped", &[]))?;
    gdb.expect(READY, DEADLINE)?;
    gdb.send(b"continue\n")?;
    gdb.expect("Continuing.", DEADLINE)?;
    ensure!(ask(&mut console, "uname")?.contains("micrun test RTOS"));
    gdb.send(b"\x03")?;
    gdb.expect("SIGINT", DEADLINE)?;
    gdb.expect(READY, DEADLINE)?;
    gdb.send(b"info registers pc\n")?;
    let registers = gdb.expect(READY, DEADLINE)?;
    ensure!(value(&registers, "pc ")? >= BASE, "{registers}");
    gdb.send(b"detach\nquit\n")?;
    ensure!(gdb.wait(DEADLINE)?.success());
    ensure!(ask(&mut console, "echo still here")?.contains("still here"));
    console.send(b"exit 0\r")?;
    ensure!(console.wait(DEADLINE)?.success());
    bed.clean()
}

#[test]
fn firmware_that_a_debugger_left_stopped_still_powers_off() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("left")?;
    let mut gdb = Pty::spawn(&gdb(&bed, "left", &[]))?;
    let connected = gdb.expect(READY, DEADLINE)?;
    ensure!(connected.contains("Remote debugging using"), "{connected}");
    drop(gdb);
    let task = bed.task("left");
    task.kill("SIGTERM")?;
    console.wait(DEADLINE)?;
    task.gone()?;
    bed.clean()
}
