//! Firmware made for the Raspberry Pi 4 on a machine that is none: the image names its board, and QEMU has a machine for
//! that. The firmware is the test RTOS built like MICA's images for the board: linked at 0x7b000000, with the board's
//! interrupt controller, without PSCI.

use std::process::Command;

use anyhow::Result;
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Pty, Testbed, ask, run};

const IMAGE: &str = "localhost/pi:1";

/// A containerd with an image of the firmware for board `rpi4`.
fn bed(qemu: &str) -> Result<Testbed> {
    let bed = Testbed::under(qemu)?;
    let (artifacts, place) = (Artifacts::from_env(), tempfile::tempdir()?);
    let archive = place.path().join("pi.tar");
    let mut builder = Command::new(artifacts.builder());
    builder.args(["bundle", "--board", "rpi4", "--name", IMAGE]);
    builder.arg("--firmware").arg(artifacts.rtos_rpi4()).arg("--output").arg(&archive);
    run(&mut builder, DEADLINE)?.ok()?;
    bed.ctr.import(&archive)?;
    Ok(bed)
}

fn console(bed: &Testbed, id: &str) -> Result<Pty> {
    let words = bed.run_words(&["--rm", "-t"], IMAGE, id);
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    Ok(console)
}

#[test]
fn it_boots_unchanged_and_talks() -> Result<()> {
    let bed = bed("MICRUN_QEMU_10")?;
    let mut console = console(&bed, "pi")?;
    // Each answer needs kicks in both directions.
    for number in 0..50 {
        let words = format!("echo number {number}");
        assert_eq!(ask(&mut console, &words)?, format!("number {number}\r\n"));
    }
    assert!(ask(&mut console, "uptime")?.starts_with("up "));
    // It reports its end, but cannot power its core off: power is cut.
    console.send(b"exit 3\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(3));
    bed.clean()
}

#[test]
fn it_is_killed() -> Result<()> {
    let bed = bed("MICRUN_QEMU_10")?;
    let mut console = console(&bed, "killed")?;
    bed.ctr.run(&["task", "kill", "-s", "SIGKILL", "killed"])?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(137));
    bed.clean()
}

#[test]
fn a_qemu_without_the_machine_is_named() -> Result<()> {
    let bed = bed("MICRUN_QEMU_7")?;
    let refused = bed.run(&["--rm"], IMAGE, "old")?;
    let sentence = "it has no machine raspi4b, which QEMU 9 and newer have";
    assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
    bed.clean()
}
