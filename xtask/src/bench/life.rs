//! What a container's life costs: create, start, kill and delete, with a core that costs nothing, beside runc.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::driver::{Bundle, Runtime};
use super::stage::Stage;
use super::{Measurement, Unit};

/// Lives of each kind that count; one more before them warms caches up.
const ROUNDS: usize = 20;
/// Create, start, exit, delete.
const EVENTS_PER_LIFE: usize = 4;

/// One life, in milliseconds.
struct Life {
    create: f64,
    start: f64,
    kill: f64,
    delete: f64,
    /// User and system time of the shim and all its children.
    cpu: f64,
}

impl Life {
    fn whole(&self) -> f64 {
        self.create + self.start + self.kill + self.delete
    }
}

/// A part of a life.
type Part = fn(&Life) -> f64;

/// What is told, in the order of the table, and which share of runc's is promised.
const ROWS: [(&str, Part, Option<f64>); 6] = [
    ("create (spawns the shim)", |life| life.create, None),
    ("start", |life| life.start, None),
    ("kill until exit", |life| life.kill, None),
    ("delete (with the shim's end)", |life| life.delete, None),
    ("whole life", Life::whole, Some(0.25)),
    ("CPU time of a whole life", |life| life.cpu, Some(0.125)),
];

/// Lives of both kinds in turn, so that whatever else the machine does hits both.
pub(super) fn run(stage: &Stage) -> Result<Vec<Measurement>> {
    let (fake, busybox) = (stage.fake(), stage.busybox(&["sleep", "600"])?);
    let events = stage.events.count();
    let (mut own, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        own.push(live(stage, &fake)?);
        peers.push(live(stage, &busybox)?);
    }
    stage.events.wait_for(events + EVENTS_PER_LIFE * (own.len() + peers.len()))?;
    let samples = |lives: &[Life], value: Part| lives.iter().skip(1).map(value).collect::<Vec<_>>();
    ROWS.iter()
        .map(|&(what, value, share)| {
            let row = Measurement::new(what, Unit::Milliseconds, &samples(&own, value))?;
            let row = row.peer("runc shim, busybox", &samples(&peers, value))?;
            Ok(share.into_iter().fold(row, Measurement::share))
        })
        .collect()
}

fn live(stage: &Stage, runtime: &Runtime) -> Result<Life> {
    let bundle = Bundle::new(stage, runtime)?;
    let cpu = children_cpu()?;
    let (task, create) = timed(|| bundle.create(None))?;
    let server = task.server()?;
    let ((), start) = timed(|| task.start())?;
    let ((), kill) = timed(|| task.kill())?;
    let ((), delete) = timed(|| task.delete(Some(server)))?;
    Ok(Life { create, start, kill, delete, cpu: children_cpu()? - cpu })
}

/// How long `work` takes, in milliseconds.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((done, milliseconds(begun.elapsed())))
}

/// User and system time of all children that have ended and been waited for, and of theirs, in milliseconds.
fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(of_time_val(usage.user_time()) + of_time_val(usage.system_time()))
}

fn of_time_val(time: TimeVal) -> f64 {
    // A process does not compute for the 285 years after which this is not exact.
    #[expect(clippy::cast_precision_loss)]
    let (seconds, microseconds) = (time.tv_sec() as f64, time.tv_usec() as f64);
    seconds * 1e3 + microseconds / 1e3
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
