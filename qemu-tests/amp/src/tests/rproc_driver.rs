//! `psci_rproc` without micrun: what the driver promises, and what it does when something is wrong.

use std::fs;

use anyhow::{Context, Result, ensure};
use firmware::test_elf::{CODE_ADDR, TestElf, minimal_table};
use qemu_tests::wait_for;
use rustix::io::Errno;
use shmem::{Memory, barrier};

use super::{lives, refused};
use crate::core::{self, CPU, Offline};
use crate::mcs::Mcs;
use crate::module::{MCS, Module, RPROC};
use crate::rproc::{self, Rproc, Tty};
use crate::stubborn;
use crate::suite::Test;

/// What Linux says of a file that it does not start.
const REFUSALS: &[&str] = &[
    "remoteproc remoteproc0: ",
    "psci-rproc remoteproc-cpu3: entry",
    "psci-rproc remoteproc-cpu3: failed to allocate dma memory",
    "https://wiki.debian.org/Firmware",
];
/// What Linux says of firmware that ends by itself.
const ENDS: &[&str] = &[
    "the firmware powered CPU 3 off",
    "crash detected in remoteproc-cpu3",
    "handling crash",
    "recovering remoteproc-cpu3",
];

pub const TESTS: &[Test] = &[
    Test::new("rproc: firmware starts, talks over rpmsg_tty and stops", life),
    Test::new("rproc: many starts and stops leave nothing", many_lives).within(600),
    Test::new("rproc: the driver comes and goes", reloads),
    Test::new("rproc: without its doorbell the rings are looked at", polled),
    Test::new("rproc: files that cannot be started are refused", bad_files).provoking(REFUSALS),
    Test::new("rproc: memory that is not there is ENOMEM", no_memory).provoking(REFUSALS),
    Test::new("rproc: a core that somebody else runs is EBUSY", busy).provoking(&[
        "CPU 3 is in use, but not by Linux",
        "can't start rproc",
        "Boot failed",
        "prepare",
    ]),
    Test::new("rproc: firmware that does not power itself off keeps its core", stubborn_firmware)
        .provoking(&["does not power CPU 3 off within 300 ms", "can't stop rproc"]),
    Test::new("rproc: firmware that ends by itself has crashed", crash).provoking(ENDS),
    Test::new("rproc: a crash is recovered from where that is on", recovery).provoking(ENDS),
];

/// Boots the test RTOS with the driver loaded.
fn boot() -> Result<(Rproc, Tty)> {
    let rproc = Rproc::find()?;
    rproc.set_firmware(&fs::read("/artifacts/test-rtos.elf")?)?;
    rproc.start().context("start")?;
    ensure!(rproc.state()? == "running" && !core::is_online(CPU)?, "state {}", rproc.state()?);
    let mut tty = Tty::open()?;
    // Until it has heard from Linux it does not know where to say anything.
    tty.type_in(b"\r")?;
    tty.expect("rtos# ")?;
    Ok((rproc, tty))
}

/// Linux has its core back, and nothing of the firmware is left.
fn ended(rproc: &Rproc) -> Result<()> {
    ensure!(rproc.state()? == "offline", "state {}", rproc.state()?);
    ensure!(core::is_online(CPU)?, "Linux does not have its core back");
    wait_for("the console's end", rproc::DEADLINE, || (!rproc::has_tty()).then_some(()))
}

fn life() -> Result<()> {
    let module = Module::load(RPROC, "")?;
    let (rproc, mut tty) = boot()?;
    tty.type_in(b"echo one  two\r")?;
    tty.expect("\r\none  two\r\n")?;
    // It is in use.
    ensure!(Module::try_unload(RPROC).is_err(), "the driver was unloaded from under the firmware");
    drop(tty);
    rproc.stop().context("stop")?;
    ended(&rproc)?;
    drop(rproc);
    drop(module);
    ensure!(!crate::module::is_loaded(RPROC), "the driver cannot be unloaded");
    Ok(())
}

fn many_lives() -> Result<()> {
    let _module = Module::load(RPROC, "")?;
    let one = || -> Result<()> {
        let (rproc, tty) = boot()?;
        drop(tty);
        rproc.stop().context("stop")?;
        ended(&rproc)
    };
    // What is made once is made now.
    one()?;
    let before = mappings()?;
    for round in 1..=lives() {
        one().with_context(|| format!("round {round}"))?;
    }
    let after = mappings()?;
    ensure!(after <= before, "{before} mappings of device memory before, {after} after");
    Ok(())
}

/// How many mappings the kernel has of memory that is not its own.
fn mappings() -> Result<usize> {
    let all = fs::read_to_string("/proc/vmallocinfo").context("/proc/vmallocinfo")?;
    Ok(all.lines().filter(|line| line.contains("ioremap") || line.contains("dma")).count())
}

fn reloads() -> Result<()> {
    for _ in 0..10 {
        let module = Module::load(RPROC, "")?;
        Rproc::find()?;
        drop(module);
        ensure!(!crate::module::is_loaded(RPROC));
    }
    Ok(())
}

fn polled() -> Result<()> {
    let _other = Module::load(MCS, "")?;
    let _module = Module::load(RPROC, "")?;
    let (rproc, mut tty) = boot()?;
    tty.type_in(b"echo still heard\r")?;
    tty.expect("\r\nstill heard\r\n")?;
    drop(tty);
    rproc.stop().context("stop")?;
    ended(&rproc)
}

fn bad_files() -> Result<()> {
    let _module = Module::load(RPROC, "")?;
    let rproc = Rproc::find()?;
    rproc.write("firmware", "no-such-file.elf")?;
    refused("a file that is not there", rproc.start(), Errno::NOENT)?;
    let elf = TestElf::new;
    let bad = [
        ("an empty file", Vec::new()),
        ("no ELF file", b"#!/bin/sh\necho this is no firmware, but it is long enough to be one\n".to_vec()),
        ("big endian", elf().byte_order(2).build()),
        ("half a file", elf().build()[..200].to_vec()),
        ("a segment in Linux's memory", elf().segment(0x4000_0000, &[0; 16]).build()),
        ("a segment across the end", elf().segment(CODE_ADDR + 0x400_0000 - 8, &[0; 16]).build()),
        ("an entry outside", elf().entry(0x4000_0000).build()),
        ("an entry in the rings' memory", elf().entry(0x7000_0000).build()),
        ("a table of another version", elf().resource_table(&changed(0, 2)).build()),
        ("a table with more entries than room", elf().resource_table(&changed(4, 99)).build()),
    ];
    for (what, file) in bad {
        rproc.set_firmware(&file)?;
        refused(what, rproc.start(), Errno::INVAL)?;
        ended(&rproc).context(what)?;
    }
    drop(rproc);
    // And the core is as good as before.
    let (rproc, tty) = boot()?;
    drop(tty);
    rproc.stop()?;
    ended(&rproc)
}

/// The smallest table with another word.
fn changed(at: usize, word: u32) -> Vec<u8> {
    let mut table = minimal_table();
    table[at..at + 4].copy_from_slice(&word.to_le_bytes());
    table
}

/// Firmware that wants more memory than is there.
fn no_memory() -> Result<()> {
    const ANY: u32 = u32::MAX;
    // Version, entries, reserved, offset; a carveout: type, device and physical address, length, flags, reserved, name.
    let words = [1, 1, 0, 0, 0x14, 0, ANY, ANY, 0x400_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let table: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let _module = Module::load(RPROC, "")?;
    let rproc = Rproc::find()?;
    rproc.set_firmware(&TestElf::new().resource_table(&table).build())?;
    refused("64 MiB of a pool of 20", rproc.start(), Errno::NOMEM)?;
    ended(&rproc)
}

fn busy() -> Result<()> {
    let core = Offline::take()?;
    run_stubborn()?;
    let result = refused_while_busy();
    stubborn::let_go()?;
    wait_for("the core's return", rproc::DEADLINE, || core::set_online(CPU, true).ok())?;
    drop(core);
    result
}

/// By `/dev/mcs`, which then goes away: firmware stays.
fn run_stubborn() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    let memory = mcs.map(CODE_ADDR, 4096)?;
    memory.window().copy_in(0, &stubborn::image())?;
    barrier::full();
    mcs.cpu_on(CPU, CODE_ADDR)?;
    // QEMU calls a core off for a moment after it was started.
    wait_for("the core's beginning", rproc::DEADLINE, || mcs.affinity_info(CPU).is_err().then_some(()))
}

fn refused_while_busy() -> Result<()> {
    let _module = Module::load(RPROC, "")?;
    let rproc = Rproc::find()?;
    rproc.set_firmware(&TestElf::new().build())?;
    refused("starting on a core in use", rproc.start(), Errno::BUSY)?;
    ensure!(rproc.state()? == "offline");
    Ok(())
}

fn stubborn_firmware() -> Result<()> {
    let _module = Module::load(RPROC, "off_timeout_ms=300")?;
    let rproc = Rproc::find()?;
    rproc.set_firmware(&stubborn::elf())?;
    rproc.start()?;
    for _ in 0..2 {
        refused("stopping", rproc.stop(), Errno::TIMEDOUT)?;
        ensure!(rproc.state()? == "running" && !core::is_online(CPU)?);
        ensure!(Module::try_unload(RPROC).is_err(), "the driver was unloaded from under the firmware");
    }
    stubborn::let_go()?;
    rproc.stop().context("stopping what powers itself off")?;
    ended(&rproc)
}

fn crash() -> Result<()> {
    let _module = Module::load(RPROC, "")?;
    let (rproc, mut tty) = boot()?;
    rproc.write("recovery", "disabled")?;
    tty.type_in(b"exit 3\r")?;
    rproc.expect("crashed")?;
    drop(tty);
    // Debian's kernel does not stop what has crashed.
    rproc.write("recovery", "recover")?;
    rproc.expect("running")?;
    Tty::open()?;
    rproc.stop()?;
    ended(&rproc)
}

fn recovery() -> Result<()> {
    let _module = Module::load(RPROC, "")?;
    let (rproc, mut tty) = boot()?;
    tty.type_in(b"crash\r")?;
    tty.expect("fault: ")?;
    drop(tty);
    wait_for("the end of the console", rproc::DEADLINE, || (!rproc::has_tty()).then_some(()))?;
    let mut tty = Tty::open()?;
    tty.type_in(b"\r")?;
    tty.expect("rtos# ")?;
    drop(tty);
    rproc.stop()?;
    ended(&rproc)
}
