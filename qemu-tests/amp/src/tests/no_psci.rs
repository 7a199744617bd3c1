//! A board without PSCI: nobody can start a core there, nor ask whether it is off.

use std::fs;

use anyhow::{Result, ensure};

use super::pedestal::OF_RPROC;
use crate::container::Container;
use crate::core::{CPU, is_online};
use crate::kernel_log::KernelLog;
use crate::module::{Module, NO_PSCI, RPROC, is_loaded};
use crate::suite::Test;

/// What the driver says.
const COMPLAINT: &str = "psci-rproc remoteproc-cpu3: error -ENODEV: no PSCI of 0.2 or newer";

pub const TESTS: &[Test] = &[
    Test::new("rproc: without PSCI there is no core, and the driver says why", no_core)
        .provoking(&[COMPLAINT]),
    Test::new("rproc: without PSCI a container is refused", refusal).provoking(&[COMPLAINT]),
];

fn no_core() -> Result<()> {
    for _ in 0..3 {
        let without = Module::load(NO_PSCI, "")?;
        let mut log = KernelLog::from_now()?;
        let module = Module::load(RPROC, "")?;
        let said = log.warnings()?;
        ensure!(said.iter().any(|line| line.contains(COMPLAINT)), "{said:?}");
        ensure!(cores()? == 0 && is_online(CPU)?, "{} cores", cores()?);
        drop(module);
        ensure!(!is_loaded(RPROC), "the driver cannot be unloaded");
        // And it was nothing but that.
        drop(without);
        let _module = Module::load(RPROC, "")?;
        ensure!(cores()? == 1);
    }
    Ok(())
}

fn cores() -> Result<usize> {
    Ok(fs::read_dir("/sys/class/remoteproc")?.count())
}

fn refusal() -> Result<()> {
    let _without = Module::load(NO_PSCI, "")?;
    let _module = OF_RPROC.load()?;
    let refusal = Container::refusal(OF_RPROC.wish("a"))?;
    ensure!(refusal.ends_with("there is none; this system has none"), "{refusal:?}");
    ensure!(is_online(CPU)?, "linux does not have its core");
    Ok(())
}
