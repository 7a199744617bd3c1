//! Containers under the pedestal mcs: what only its cores do.

use std::fs;

use anyhow::{Context, Result, ensure};
use firmware::test_elf::TestElf;

use super::pedestal::OF_MCS;
use crate::container::{Container, KILL, KILLED, PROMPT, TERM, TERMINATED, is_free};
use crate::core::{CPU, is_online};
use crate::suite::Test;
use crate::wish::{OTHER_RTOS, Wish};

pub const TESTS: &[Test] = &[
    Test::new("mcs: two containers beside each other", two).within(180),
    Test::new("mcs: what does not fit is refused by name", refusals),
    Test::new("mcs: a core that is lost goes on with its firmware", lost).within(120),
];

/// A `client.conf` for a core.
fn conf(cpu: &str) -> String {
    format!("[Mica]\nName=a\nClientPath=/firmware.elf\nCPU={cpu}\n")
}

/// Each has its own core and its own shim, and both wait for the one flag of the device.
fn two() -> Result<()> {
    let _module = OF_MCS.load()?;
    let conf = conf("2");
    let mut a = Container::run(OF_MCS.wish("a"))?;
    let mut b = Container::run(Wish { firmware: OTHER_RTOS, conf: Some(&conf), ..OF_MCS.wish("b") })?;
    for container in [&mut a, &mut b] {
        container.expect(PROMPT)?;
    }
    // Taking turns, so that whoever is not asked would be the one to take the other's ring.
    for round in 0..50 {
        for container in [&mut a, &mut b] {
            container.type_in(format!("echo {round}\r").as_bytes())?;
            container.expect(&format!("\r\n{round}\r\n{PROMPT}"))?;
        }
    }
    // And what they say by themselves.
    for container in [&mut a, &mut b] {
        container.type_in(b"flood 200000\r")?;
    }
    for container in [&mut a, &mut b] {
        container.expect("flood 200000\r\n")?;
        ensure!(container.take(200_000)?.len() == 200_000);
    }
    for container in [a, b] {
        container.signal(TERM)?;
        ensure!(container.wait()? == TERMINATED);
        container.delete()?;
    }
    ensure!(is_online(2)?, "linux does not have core 2 back");
    OF_MCS.tidy()
}

fn refusals() -> Result<()> {
    let refused = |wish: Wish<'_>, expected: &str| {
        let sentence = Container::refusal(wish)?;
        ensure!(sentence.contains(expected), "{sentence:?} without {expected:?}");
        OF_MCS.tidy()
    };
    ensure!(
        Container::refusal(OF_MCS.wish("a"))?.contains("/dev/mcs, of the kernel module mcs_km: No such file"),
        "a device that is not there"
    );
    let _module = OF_MCS.load()?;
    for (cpu, expected) in [("0", "core 0 cannot be had"), ("9", "core 9 cannot be had")] {
        let conf = conf(cpu);
        refused(Wish { conf: Some(&conf), ..OF_MCS.wish("a") }, expected).with_context(|| cpu.to_owned())?;
    }
    let file = |name: &str, address: u64| {
        let path = format!("/tmp/{name}");
        let elf = TestElf::new().segment(address, &[0; 4096]).build();
        fs::write(&path, elf).map(|()| path)
    };
    let outside = file("outside.elf", 0x6000_0000)?;
    let expected = "memory 0x60000000..0x60001000 is not in a region that /dev/mcs has";
    refused(Wish { firmware: &outside, ..OF_MCS.wish("a") }, expected)?;
    let window = file("window.elf", 0x7006_0000)?;
    let expected =
        "segment 0x70060000..0x70061000 overlaps the shared memory of the cores (0x70000000..0x70100000)";
    refused(Wish { firmware: &window, ..OF_MCS.wish("a") }, expected)
}

/// Firmware that ignores that it is to power itself off, until somebody gets it to.
fn lost() -> Result<()> {
    let _module = OF_MCS.load()?;
    let mut deaf = Container::run(OF_MCS.wish("deaf"))?;
    deaf.type_in(b"deaf\r")?;
    deaf.expect("deaf\r\n")?;
    deaf.expect(PROMPT)?;
    deaf.signal(KILL)?;
    ensure!(deaf.wait()? == KILLED);
    let log = deaf.log();
    ensure!(log.contains("the core is lost until the board is reset"), "{log}");
    deaf.delete()?;
    ensure!(!is_online(CPU)? && !is_free("mcs-3")?, "a core that runs is given away");
    // Other firmware has to wait.
    let refusal = Container::refusal(Wish { firmware: OTHER_RTOS, ..OF_MCS.wish("other") })?;
    ensure!(refusal.contains("core 3 still runs the firmware of amp/deaf"), "{refusal:?}");
    // The same goes on, with all that it has in its head.
    let mut next = Container::run(OF_MCS.wish("next"))?;
    next.type_in(b"uptime\r")?;
    let said = next.expect(PROMPT)?;
    ensure!(!String::from_utf8_lossy(&said).contains("micrun test RTOS"), "it was started anew");
    // Its shim is killed, and it goes on again.
    ensure!(next.crash().is_err(), "nobody can end it");
    let mut last = Container::run(OF_MCS.wish("last"))?;
    last.type_in(b"exit 5\r")?;
    ensure!(last.wait()? == 5);
    last.delete()?;
    OF_MCS.tidy()
}
