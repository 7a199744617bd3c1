//! Containers on the board's own core: the same lives whoever drives it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use firmware::test_elf::TestElf;
use qemu_tests::transcript;

use crate::container::{Container, KILL, KILLED, OTHER_RTOS, PROMPT, RTOS, TERM, TERMINATED, Wish, is_free};
use crate::core::{CPU, is_online};
use crate::module::{MCS, Module, RPROC};
use crate::suite::Test;

/// What psci_rproc says of every end that it was not asked for, and Linux of a crash.
const CRASHES: &[&str] =
    &["the firmware powered CPU", "crash detected", "handling crash", "recovering remoteproc"];

pub const TESTS: &[Test] = &[
    Test::new("mcs: a container's transcript", || transcript(&OF_MCS)),
    Test::new("mcs: a container's ends", || ends(&OF_MCS)).within(120),
    Test::new("mcs: a container's console is byte-clean", || clean(&OF_MCS)).within(120),
    Test::new("mcs: 50 containers one after the other", || fifty(&OF_MCS)).within(600),
    Test::new("mcs: a killed shim in every state", || killed_shims(&OF_MCS)).within(180),
    Test::new("mcs: a core that is taken is refused", || taken(&OF_MCS)),
    Test::new("mcs: two containers beside each other", two).within(180),
    Test::new("mcs: what does not fit is refused by name", refusals),
    Test::new("mcs: a core that is lost goes on with its firmware", lost).within(120),
    Test::new("rproc: what does not fit is refused by name", remoteproc_refusals),
    Test::new("rproc: a container's transcript", || transcript(&OF_RPROC)).provoking(CRASHES),
    Test::new("rproc: a container's ends", || ends(&OF_RPROC)).within(120).provoking(CRASHES),
    Test::new("rproc: a container's console is byte-clean", || clean(&OF_RPROC)).within(120),
    Test::new("rproc: 50 containers one after the other", || fifty(&OF_RPROC)).within(600),
    Test::new("rproc: a killed shim in every state", || killed_shims(&OF_RPROC))
        .within(180)
        .provoking(CRASHES),
    Test::new("rproc: a core that is taken is refused", || taken(&OF_RPROC)),
];

/// Who drives the core.
struct Pedestal {
    module: &'static str,
    annotations: &'static [(&'static str, &'static str)],
    /// The name that the core is claimed under.
    core: &'static str,
}

const OF_MCS: Pedestal =
    Pedestal { module: MCS, annotations: &[("org.openeuler.micrun.ped.pedestal", "mcs")], core: "mcs-3" };
/// Arm's annotation alone.
const OF_RPROC: Pedestal =
    Pedestal { module: RPROC, annotations: &[("remoteproc.name", "remoteproc-cpu3")], core: "remoteproc0" };

impl Pedestal {
    fn load(&self) -> Result<Module> {
        Ok(Module::load(self.module, "")?)
    }

    fn wish<'a>(&'a self, id: &'a str) -> Wish<'a> {
        Wish::new(id, self.annotations)
    }

    /// Everything is as it was before the container.
    fn tidy(&self) -> Result<()> {
        ensure!(is_online(CPU)?, "linux does not have its core back");
        ensure!(is_free(self.core)?, "the core is not free");
        let files = fs::read_dir("/lib/firmware")?.count();
        ensure!(files == 0, "{files} files are left in /lib/firmware");
        let core = Path::new("/sys/class/remoteproc").join(self.core);
        if core.exists() {
            let read = |name: &str| fs::read_to_string(core.join(name)).context(core.display().to_string());
            let words = (read("state")?, read("recovery")?);
            ensure!(words == ("offline\n".into(), "enabled\n".into()), "{words:?}");
        }
        Ok(())
    }
}

fn transcript(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let mut container = Container::create(pedestal.wish("a"))?;
    container.type_in(transcript::INPUT)?;
    container.start()?;
    let said = container.take(transcript::OUTPUT.len())?;
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(said == transcript::OUTPUT, "{:?}", shown(&said));
    let status = container.wait()?;
    ensure!(status == transcript::STATUS, "status {status}");
    ensure!(container.said.is_empty(), "{:?} is too much", shown(&container.said));
    container.delete()?;
    pedestal.tidy()
}

fn ends(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    for (command, signal, expected) in
        [("exit 0\r", 0, 0), ("crash\r", 0, 139), ("", TERM, TERMINATED), ("", KILL, KILLED)]
    {
        let mut container = Container::run(pedestal.wish("a"))?;
        container.type_in(b"\r")?;
        container.expect(PROMPT)?;
        if signal == 0 {
            container.type_in(command.as_bytes())?;
        } else {
            container.signal(signal)?;
        }
        let status = container.wait()?;
        ensure!(
            status == expected,
            "{command:?}, signal {signal}: status {status}, not {expected}: {}",
            container.log()
        );
        pedestal.tidy()?;
        container.delete()?;
    }
    Ok(())
}

/// Every byte in both directions, in pieces that fit no message.
fn clean(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let mut container = Container::run(pedestal.wish("a"))?;
    let bytes: Vec<u8> =
        (0..64u32).flat_map(|round| (0..=255u8).map(move |byte| byte.wrapping_add(round as u8))).collect();
    container.type_in(format!("raw {}\n", bytes.len()).as_bytes())?;
    container.expect(&format!("raw {}\r\n", bytes.len()))?;
    ensure!(container.exchange(&bytes)? == bytes, "bytes were changed on their way");
    container.expect(PROMPT)?;
    container.signal(KILL)?;
    ensure!(container.wait()? == KILLED);
    container.delete()?;
    pedestal.tidy()
}

fn fifty(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let mut container = Container::create(pedestal.wish("a"))?;
    for round in 1..=50 {
        if round > 1 {
            container.renew().with_context(|| format!("round {round}"))?;
        }
        container.start().with_context(|| format!("start {round}"))?;
        container.type_in(b"\r")?;
        container.expect(PROMPT)?;
        container.signal(TERM)?;
        ensure!(container.wait()? == TERMINATED, "stop {round}: {}", container.log());
        container.said.clear();
    }
    container.delete()?;
    pedestal.tidy()
}

fn killed_shims(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    Container::create(pedestal.wish("created"))?.crash()?;
    pedestal.tidy()?;
    Container::run(pedestal.wish("started"))?.crash()?;
    pedestal.tidy()?;
    let mut running = Container::run(pedestal.wish("running"))?;
    running.type_in(b"flood 100000\r")?;
    running.expect("00000099")?;
    running.crash()?;
    pedestal.tidy()?;
    let mut stopping = Container::run(pedestal.wish("stopping"))?;
    stopping.type_in(b"\r")?;
    stopping.expect(PROMPT)?;
    stopping.signal(TERM)?;
    stopping.crash()?;
    pedestal.tidy()?;
    // And the core is as good as before.
    let mut next = Container::run(pedestal.wish("next"))?;
    next.type_in(b"exit 0\r")?;
    ensure!(next.wait()? == 0);
    next.delete()?;
    pedestal.tidy()
}

fn taken(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let first = Container::create(pedestal.wish("first"))?;
    let refusal = Container::refusal(pedestal.wish("second"))?;
    let expected = format!("{} is taken by amp/first", pedestal.core);
    ensure!(refusal.ends_with(&expected), "{refusal:?}");
    first.start()?;
    let refusal = Container::refusal(pedestal.wish("second"))?;
    ensure!(refusal.ends_with(&expected), "{refusal:?}");
    first.signal(KILL)?;
    ensure!(first.wait()? == KILLED);
    first.delete()?;
    pedestal.tidy()
}

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

fn remoteproc_refusals() -> Result<()> {
    let refusal = |annotations: &[(&str, &str)]| Container::refusal(Wish::new("a", annotations));
    let pedestal = ("org.openeuler.micrun.ped.pedestal", "remoteproc");
    let none = refusal(&[pedestal])?;
    ensure!(none.ends_with("there is none; this system has none"), "{none:?}");
    let _module = OF_RPROC.load()?;
    let there = "there is none; this system has remoteproc0 (remoteproc-cpu3)";
    let unknown = refusal(&[("remoteproc.name", "m4")])?;
    ensure!(unknown.ends_with(&format!("remote processor \"m4\": {there}")), "{unknown:?}");
    // The only one there is needs no name.
    let only = Container::create(Wish::new("a", &[pedestal]))?;
    only.crash()?;
    fs::write("/tmp/no.elf", "no elf file")?;
    let bad = Container::refusal(Wish { firmware: "/tmp/no.elf", ..OF_RPROC.wish("a") })?;
    ensure!(bad.contains("not firmware that linux loads on a remote processor"), "{bad:?}");
    // Somebody else's start.
    fs::copy(RTOS, "/lib/firmware/theirs.elf")?;
    let core = Path::new("/sys/class/remoteproc/remoteproc0");
    fs::write(core.join("firmware"), "theirs.elf")?;
    fs::write(core.join("state"), "start")?;
    let used = Container::refusal(OF_RPROC.wish("a"))?;
    ensure!(used.contains("remoteproc0 is running, and was not started by micrun"), "{used:?}");
    fs::write(core.join("state"), "stop")?;
    fs::remove_file("/lib/firmware/theirs.elf")?;
    OF_RPROC.tidy()
}
