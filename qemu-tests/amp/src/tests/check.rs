//! `micrun check` on a board that has everything, and on one that lacks a driver.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, ensure};

use super::pedestal::{OF_MCS, OF_RPROC, Pedestal};
use crate::container::SHIM;
use crate::suite::Test;

pub const TESTS: &[Test] = &[
    Test::new("mcs: micrun check says what is missing", || {
        missing("mcs", &OF_MCS, "lacks /dev/mcs: load the kernel module mcs_km (modprobe mcs_km)")
    }),
    Test::new("rproc: micrun check says what is missing", || {
        let driver =
            "lacks a remote processor in /sys/class/remoteproc: load its driver (modprobe psci_rproc)";
        missing("remoteproc", &OF_RPROC, driver)
    }),
];

/// The driver alone, and nothing when it is loaded.
fn missing(name: &str, pedestal: &Pedestal, expected: &str) -> Result<()> {
    let (lines, usable) = check(name)?;
    ensure!(!usable && lines.len() == 1 && lines[0].contains(expected), "{lines:?}");
    let _module = pedestal.load()?;
    let (lines, usable) = check(name)?;
    ensure!(usable && lines.len() == 1 && lines[0].ends_with("can be used"), "{lines:?}");
    Ok(())
}

/// What it says of the pedestal, below the line with the board, and whether that can be used.
fn check(pedestal: &str) -> Result<(Vec<String>, bool)> {
    let output = Command::new(SHIM).arg0("micrun").args(["check", pedestal]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (board, rest) = text.split_once('\n').unwrap_or_default();
    ensure!(board.contains("qemu-arm64: "), "{board:?}, {:?}", String::from_utf8_lossy(&output.stderr));
    Ok((rest.lines().map(str::to_owned).collect(), output.status.success()))
}
