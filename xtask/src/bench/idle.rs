//! What an idle container costs: memory, threads, and how often anything is woken up for it.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use qemu_tests::Process;
use rustix::process::Pid;

use super::driver::{Bundle, Runtime, Task};
use super::stage::Stage;
use super::{Measurement, Unit, proc};

/// Budget of the shim with one container: 2 MiB.
const BUDGET: f64 = 2048.0;
/// How long context switches are counted.
const WINDOW: Duration = Duration::from_secs(5);
/// How many such windows there are.
const WINDOWS: usize = 3;
/// How long a started container is left alone before it counts as idle.
const SETTLING: Duration = Duration::from_secs(1);
/// A pod as large as a board has cores for.
const MANY: usize = 10;
const PEER: &str = "runc shim, busybox";
const PROMPT: &str = "rtos# ";

/// What is measured of one or more servers together.
struct Cost {
    /// KiB.
    pss: f64,
    threads: f64,
    switches: Vec<f64>,
}

pub(super) fn run(stage: &Stage) -> Result<Vec<Measurement>> {
    let (hello, emulator) = hello(stage)?;
    let busybox = || stage.busybox(&["sleep", "600"]);
    let one = cost_of(stage, &[stage.fake()])?;
    let one_peer = cost_of(stage, &[busybox()?])?;
    let pod = cost_of(stage, &pod(stage, || Ok(stage.fake()))?)?;
    let pod_peer = cost_of(stage, &self::pod(stage, busybox)?)?;
    let mut rows = compare("hello on QEMU", &hello, &one_peer, Some(BUDGET))?;
    rows.push(Measurement::new("hello on QEMU: PSS of QEMU itself", Unit::Kibibytes, &[emulator])?);
    rows.extend(compare("fake core", &one, &one_peer, Some(BUDGET))?);
    rows.extend(compare("one pod of ten fake cores", &pod, &pod_peer, None)?);
    Ok(rows)
}

fn compare(name: &str, own: &Cost, peer: &Cost, budget: Option<f64>) -> Result<Vec<Measurement>> {
    let row = |what: &str, unit, own: &[f64], peer: &[f64]| {
        Measurement::new(&format!("{name}: {what}"), unit, own)?.peer(PEER, peer)
    };
    let pss = row("PSS of the shim", Unit::Kibibytes, &[own.pss], &[peer.pss])?;
    Ok(vec![
        budget.into_iter().fold(pss, Measurement::budget),
        row("threads", Unit::Count, &[own.threads], &[peer.threads])?,
        row("context switches in 5 s", Unit::Count, &own.switches, &peer.switches)?,
    ])
}

/// [`MANY`] containers that share one server.
fn pod(stage: &Stage, runtime: impl Fn() -> Result<Runtime>) -> Result<Vec<Runtime>> {
    let name = stage.new_id();
    (0..MANY).map(|_| Ok(runtime()?.in_group(name.clone()))).collect()
}

/// The cost of the one server that `runtimes` share.
fn cost_of(stage: &Stage, runtimes: &[Runtime]) -> Result<Cost> {
    let mut tasks = Vec::new();
    for runtime in runtimes {
        let task = Bundle::new(stage, runtime)?.create(None)?;
        task.start()?;
        tasks.push(task);
    }
    let server = tasks.first().context("no container")?.server()?;
    let cost = measure(server)?;
    end(tasks, server)?;
    Ok(cost)
}

/// The cost of the shim with the test RTOS at its prompt, and its emulator's PSS.
fn hello(stage: &Stage) -> Result<(Cost, f64)> {
    let bundle = Bundle::new(stage, &stage.hello())?;
    let mut streams = bundle.streams()?;
    let task = bundle.create(Some(&streams))?;
    task.start()?;
    streams.expect(PROMPT)?;
    let server = task.server()?;
    let cost = measure(server)?;
    let emulator = proc::pss(emulator(server)?)?;
    end(vec![task], server)?;
    Ok((cost, emulator))
}

fn emulator(shim: Pid) -> Result<Pid> {
    let shim = shim.as_raw_nonzero().get().cast_unsigned();
    let mut processes = Process::all().into_iter();
    let found = processes.find(|process| process.parent == shim && process.name.starts_with("qemu-system"));
    let pid = found.and_then(|process| Pid::from_raw(process.pid.cast_signed()));
    pid.with_context(|| format!("shim {shim} has no emulator"))
}

fn measure(server: Pid) -> Result<Cost> {
    sleep(SETTLING);
    let switches = (0..WINDOWS).map(|_| switches(server)).collect::<Result<_>>()?;
    Ok(Cost { pss: proc::pss(server)?, threads: proc::threads(server)?, switches })
}

/// Context switches in one window.
fn switches(server: Pid) -> Result<f64> {
    let before = proc::switches(server)?;
    sleep(WINDOW);
    Ok(proc::switches(server)? - before)
}

fn end(mut tasks: Vec<Task<'_>>, server: Pid) -> Result<()> {
    while let Some(task) = tasks.pop() {
        task.kill()?;
        task.delete(tasks.is_empty().then_some(server))?;
    }
    Ok(())
}
