//! Containers on the board's own core: the same lives whoever drives it.

use anyhow::{Context, Result, ensure};
use qemu_tests::transcript;

use super::lives;
use super::pedestal::{OF_MCS, OF_RPROC, Pedestal};
use crate::container::{Container, KILL, KILLED, PROMPT, Step, TERM, TERMINATED, is_free, owner};
use crate::core::{CPU, is_online};
use crate::suite::Test;
use crate::wish::Wish;

/// What psci_rproc says of every end that it was not asked for, and Linux of a crash.
const CRASHES: &[&str] =
    &["the firmware powered CPU", "crash detected", "handling crash", "recovering remoteproc"];

pub const TESTS: &[Test] = &[
    Test::new("mcs: a container's transcript", || transcript(&OF_MCS)),
    Test::new("mcs: a container's ends", || ends(&OF_MCS)),
    Test::new("mcs: a container's console is byte-clean", || clean(&OF_MCS)),
    Test::new("mcs: many containers one after the other", || many(&OF_MCS)).within(600),
    Test::new("mcs: a killed shim in every state", || killed_shims(&OF_MCS)),
    Test::new("mcs: a shim killed within every request", || killed_within(&OF_MCS)),
    Test::new("mcs: a core that is taken is refused", || taken(&OF_MCS)),
    Test::new("rproc: a container's transcript", || transcript(&OF_RPROC)).provoking(CRASHES),
    Test::new("rproc: a container's ends", || ends(&OF_RPROC)).provoking(CRASHES),
    Test::new("rproc: a container's console is byte-clean", || clean(&OF_RPROC)),
    Test::new("rproc: many containers one after the other", || many(&OF_RPROC)).within(600),
    Test::new("rproc: a killed shim in every state", || killed_shims(&OF_RPROC)).provoking(CRASHES),
    Test::new("rproc: a shim killed within every request", || killed_within(&OF_RPROC)).provoking(CRASHES),
    Test::new("rproc: a core that is taken is refused", || taken(&OF_RPROC)),
];

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

fn many(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let mut container = Container::create(pedestal.wish("a"))?;
    let mut open = 0;
    for round in 1..=lives() {
        if round > 1 {
            container.renew().with_context(|| format!("round {round}"))?;
            let now = container.open_files()?;
            ensure!(round == 2 || now == open, "round {round}: {now} open files, {open} before");
            open = now;
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

/// At what can be seen of a request from outside.
fn killed_within(pedestal: &Pedestal) -> Result<()> {
    let _module = pedestal.load()?;
    let at_once = || true;
    let claimed = || owner(pedestal.core).is_ok_and(|owner| owner == "amp/claimed");
    let noted = || is_free(pedestal.core).is_ok_and(|free| !free);
    let offline = || is_online(CPU).is_ok_and(|online| !online);
    let online = || is_online(CPU).is_ok_and(|online| online);
    let moments: [(&str, Step, &dyn Fn() -> bool); 8] = [
        ("create", Step::Create, &at_once),
        ("claimed", Step::Create, &claimed),
        ("start", Step::Start, &at_once),
        ("noted", Step::Start, &noted),
        ("offline", Step::Start, &offline),
        ("kill", Step::Kill, &at_once),
        ("online", Step::Kill, &online),
        ("delete", Step::Delete, &at_once),
    ];
    for (name, step, reached) in moments {
        let answered = before(step, pedestal.wish(name))?.crash_within(step, reached).context(name)?;
        ensure!(name != "noted" || !answered, "start was answered before the shim was killed");
        if step == Step::Create {
            // There is no record yet: the next container on the core cleans up.
            Container::create(pedestal.wish("next"))?.crash()?;
        }
        pedestal.tidy().context(name)?;
    }
    Ok(())
}

/// A container to which a step comes next.
fn before(step: Step, wish: Wish<'_>) -> Result<Container> {
    if step == Step::Create {
        return Container::serve(wish);
    }
    let mut container = Container::create(wish)?;
    if step == Step::Start {
        return Ok(container);
    }
    container.start()?;
    container.type_in(b"\r")?;
    container.expect(PROMPT)?;
    if step == Step::Delete {
        container.signal(KILL)?;
        ensure!(container.wait()? == KILLED);
    }
    Ok(container)
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
