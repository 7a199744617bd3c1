//! Containers under the pedestal mcs: what only its cores do.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use firmware::test_elf::TestElf;

use super::pedestal::OF_MCS;
use crate::container::{Container, DEADLINE, KILL, KILLED, PROMPT, TERM, TERMINATED, is_free};
use crate::core::{CPU, is_online};
use crate::suite::Test;
use crate::wish::{OTHER_RTOS, Wish};

pub const TESTS: &[Test] = &[
    Test::new("mcs: two containers beside each other", two),
    Test::new("mcs: what does not fit is refused by name", refusals),
    Test::new("mcs: bulk data goes to the firmware and comes back", bulk),
    Test::new("mcs: a core that is lost goes on with its firmware", lost),
    Test::new("mcs: a core that is lost keeps its endpoints", endpoints_kept),
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

/// In the window that the module computes in the board's shared memory.
fn bulk() -> Result<()> {
    let _module = OF_MCS.load()?;
    let mut container = Container::run(OF_MCS.wish("a"))?;
    container.expect(PROMPT)?;
    let mut client = UnixStream::connect(container.bundle().join("rpmsg-umt.sock"))?;
    client.set_read_timeout(Some(DEADLINE))?;
    let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).take(1_000_001).collect();
    client.write_all(&u32::try_from(sent.len())?.to_le_bytes())?;
    client.write_all(&sent)?;
    container.type_in(b"return\r")?;
    let mut back = vec![0; 4 + sent.len()];
    client.read_exact(&mut back)?;
    ensure!(back[4..] == sent, "bulk data was changed on its way");
    container.expect(PROMPT)?;
    container.type_in(b"exit 0\r")?;
    ensure!(container.wait()? == 0);
    container.delete()?;
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
    for (cpu, expected) in [
        ("0", "core 0 cannot be had"),
        ("9", "asking linux for the core: /sys/devices/system/cpu/cpu9/online"),
    ] {
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

/// Runs firmware that ignores that it is to power itself off, and leaves it on its core.
fn lose(wish: Wish<'_>) -> Result<()> {
    let mut deaf = Container::run(wish)?;
    deaf.type_in(b"deaf\r")?;
    deaf.expect("deaf\r\n")?;
    deaf.expect(PROMPT)?;
    deaf.signal(KILL)?;
    ensure!(deaf.wait()? == KILLED);
    let log = deaf.log();
    ensure!(log.contains("the core is lost until the board is reset"), "{log}");
    deaf.delete()?;
    ensure!(!is_online(CPU)? && !is_free("mcs-3")?, "a core that runs is given away");
    Ok(())
}

/// Until somebody gets it to.
fn lost() -> Result<()> {
    let _module = OF_MCS.load()?;
    lose(OF_MCS.wish("deaf"))?;
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

/// Firmware with an endpoint table announces nothing anew: whoever takes it over finds its endpoints there.
fn endpoints_kept() -> Result<()> {
    let _module = OF_MCS.load()?;
    let wish = |id| Wish { firmware: OTHER_RTOS, ..OF_MCS.wish(id) };
    lose(wish("deaf"))?;
    for round in 1..=2 {
        let mut next = Container::run(wish("next"))?;
        next.type_in(b"echo here\r")?;
        next.expect("\r\nhere\r\n")?;
        // Calls have an endpoint of their own.
        next.type_in(b"ls /\r")?;
        next.expect("firmware.elf\r\n")?;
        let log = next.log();
        for name in ["rpmsg-tty", "rpmsg-rpc"] {
            ensure!(log.contains(&format!("endpoint {name} is there already")), "{name}: {log}");
        }
        if round == 1 {
            ensure!(next.crash().is_err(), "nobody can end it");
        } else {
            next.type_in(b"exit 5\r")?;
            ensure!(next.wait()? == 5);
            next.delete()?;
        }
    }
    OF_MCS.tidy()
}
