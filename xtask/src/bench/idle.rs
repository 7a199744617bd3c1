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
/// How long context switches are counted. Shims wake up at whole seconds if at all.
const WINDOW: Duration = Duration::from_secs(20);
const WINDOWS_PER_MINUTE: f64 = 3.0;
/// How long a started container is left alone before it counts as idle.
const SETTLING: Duration = Duration::from_secs(1);
const PEER: &str = "runc shim, busybox";
const PROMPT: &str = "rtos# ";

/// Many containers at once.
struct Crowd {
    name: &'static str,
    containers: usize,
    /// They share one server, as a pod's do.
    pod: bool,
    /// Which share of runc's memory is promised.
    share: Option<f64>,
}

/// Of one shim everything counts that is mapped only once; of many the kernel's sharing shows.
const CROWDS: [Crowd; 4] = [
    Crowd { name: "1 fake core", containers: 1, pod: false, share: Some(0.125) },
    Crowd { name: "10 fake cores in 10 shims", containers: 10, pod: false, share: Some(0.125) },
    Crowd { name: "50 fake cores in 50 shims", containers: 50, pod: false, share: None },
    Crowd { name: "20 fake cores in one pod", containers: 20, pod: true, share: None },
];

/// What is measured of one or more servers together.
struct Cost {
    /// KiB.
    pss: f64,
    threads: f64,
    switches: f64,
}

pub(super) fn run(stage: &Stage) -> Result<Vec<Measurement>> {
    let (hello, emulator) = hello(stage)?;
    let pss = Measurement::new("hello on QEMU: PSS of the shim", Unit::Kibibytes, &[hello.pss])?;
    let mut rows = vec![
        pss.budget(BUDGET),
        Measurement::new("hello on QEMU: threads", Unit::Count, &[hello.threads])?,
        Measurement::new("hello on QEMU: wake-ups per minute", Unit::Count, &[hello.switches])?,
        Measurement::new("hello on QEMU: PSS of QEMU itself", Unit::Kibibytes, &[emulator])?,
    ];
    for crowd in &CROWDS {
        println!("  {} ...", crowd.name);
        let own = cost_of(stage, crowd, &stage.fake())?;
        let peer = cost_of(stage, crowd, &stage.busybox(&["sleep", "600"])?)?;
        rows.extend(compare(crowd, &own, &peer)?);
    }
    Ok(rows)
}

fn compare(crowd: &Crowd, own: &Cost, peer: &Cost) -> Result<[Measurement; 3]> {
    let row = |what: &str, unit, own: f64, peer: f64| {
        Measurement::new(&format!("{}: {what}", crowd.name), unit, &[own])?.peer(PEER, &[peer])
    };
    #[expect(clippy::cast_precision_loss, reason = "there are not 2^52 containers")]
    let containers = crowd.containers as f64;
    let pss = row("PSS per container", Unit::Kibibytes, own.pss / containers, peer.pss / containers)?;
    Ok([
        crowd.share.into_iter().fold(pss, Measurement::share),
        row("threads", Unit::Count, own.threads, peer.threads)?,
        row("wake-ups per minute", Unit::Count, own.switches, peer.switches)?,
    ])
}

/// The cost of a crowd's servers together.
fn cost_of(stage: &Stage, crowd: &Crowd, runtime: &Runtime) -> Result<Cost> {
    let name = stage.new_id();
    let mut tasks = Vec::new();
    for _ in 0..crowd.containers {
        let runtime = if crowd.pod { runtime.in_group(&name) } else { runtime.clone() };
        let task = Bundle::new(stage, &runtime)?.create(None)?;
        task.start()?;
        tasks.push(task);
    }
    let mut servers = tasks.iter().map(Task::server).collect::<Result<Vec<_>>>()?;
    servers.dedup();
    let cost = measure(&servers)?;
    end(tasks)?;
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
    let cost = measure(&[server])?;
    let emulator = proc::pss(emulator(server)?)?;
    end(vec![task])?;
    Ok((cost, emulator))
}

fn emulator(shim: Pid) -> Result<Pid> {
    let shim = shim.as_raw_nonzero().get().cast_unsigned();
    let mut processes = Process::all().into_iter();
    let found = processes.find(|process| process.parent == shim && process.name.starts_with("qemu-system"));
    let pid = found.and_then(|process| Pid::from_raw(process.pid.cast_signed()));
    pid.with_context(|| format!("shim {shim} has no emulator"))
}

fn measure(servers: &[Pid]) -> Result<Cost> {
    sleep(SETTLING);
    let sum =
        |value: fn(Pid) -> Result<f64>| servers.iter().map(|&server| value(server)).sum::<Result<f64>>();
    let before = sum(proc::switches)?;
    sleep(WINDOW);
    let switches = (sum(proc::switches)? - before) * WINDOWS_PER_MINUTE;
    Ok(Cost { pss: sum(proc::pss)?, threads: sum(proc::threads)?, switches })
}

fn end(mut tasks: Vec<Task<'_>>) -> Result<()> {
    while let Some(task) = tasks.pop() {
        let server = task.server()?;
        let last = tasks.iter().all(|other| other.server().ok() != Some(server));
        task.kill()?;
        task.delete(last.then_some(server))?;
    }
    Ok(())
}
