//! How fast bytes get through: a client's FIFO, the shim, the rings, the firmware, and back.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::driver::{Bundle, Runtime, Task};
use super::stage::Stage;
use super::streams::Streams;
use super::{Measurement, Unit};

/// Round trips that count; as many as make a 99th percentile.
const TRIPS: usize = 2000;
/// Round trips before them.
const WARM_UP: usize = 100;
/// What is sent in one direction, as the acceptance test does.
const VOLUME: usize = 8 << 20;
/// How often.
const FLOODS: usize = 5;
const PROMPT: &str = "rtos# ";

pub(super) fn run(stage: &Stage) -> Result<Vec<Measurement>> {
    let (own, peers) = (trips_of_hello(stage)?, trips_of_cat(stage)?);
    let (mut floods, mut heads) = (Vec::new(), Vec::new());
    for _ in 0..FLOODS {
        floods.push(flood(stage)?);
        heads.push(head(stage)?);
    }
    let trip = "round trip of one byte";
    Ok(vec![
        Measurement::new(trip, Unit::Microseconds, &own)?.peer("runc shim, busybox cat", &peers)?,
        Measurement::percentile_99(&format!("{trip}, 99th percentile"), Unit::Microseconds, &own)?
            .peer("runc shim, busybox cat", &peers)?,
        Measurement::new("throughput from the container, 8 MiB", Unit::MebibytesPerSecond, &floods)?
            .peer("runc shim, busybox head", &heads)?,
    ])
}

/// A running container with its streams.
struct Running<'a> {
    task: Task<'a>,
    streams: Streams,
}

impl<'a> Running<'a> {
    fn new(stage: &'a Stage, runtime: &Runtime) -> Result<Self> {
        let bundle = Bundle::new(stage, runtime)?;
        let streams = bundle.streams()?;
        let task = bundle.create(Some(&streams))?;
        task.start()?;
        Ok(Self { task, streams })
    }

    /// The test RTOS, at its prompt.
    fn shell(stage: &'a Stage) -> Result<Self> {
        let mut running = Self::new(stage, &stage.hello())?;
        running.streams.expect(PROMPT)?;
        Ok(running)
    }

    /// Times in microseconds.
    fn trips(&mut self) -> Result<Vec<f64>> {
        let all = (0..WARM_UP + TRIPS).map(|_| self.trip()).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().skip(WARM_UP).collect())
    }

    fn trip(&mut self) -> Result<f64> {
        let (begun, mut byte) = (Instant::now(), [0]);
        self.streams.send(b"x")?;
        let len = self.streams.read(&mut byte)?;
        let time = begun.elapsed();
        ensure!(len == 1 && byte == *b"x", "the byte came back as {byte:?}");
        Ok(time.as_secs_f64() * 1e6)
    }

    /// Reads `volume` bytes; MiB per second. The clock runs from the first bytes: nothing's start is in the sum.
    fn throughput(&mut self, volume: usize) -> Result<f64> {
        let mut piece = vec![0; 64 * 1024];
        let first = self.streams.read(&mut piece)?;
        let (begun, mut left) = (Instant::now(), volume.saturating_sub(first));
        while left > 0 {
            let room = left.min(piece.len());
            left -= self.streams.read(&mut piece[..room])?;
        }
        // Exact below 2^53 bytes.
        #[expect(clippy::cast_precision_loss)]
        let mebibytes = (volume - first) as f64 / f64::from(1 << 20);
        Ok(mebibytes / begun.elapsed().as_secs_f64())
    }

    fn end(self) -> Result<()> {
        let server = self.task.server()?;
        // A program that has ended by itself can't be killed, but its end may still be on its way.
        if self.task.kill().is_err() {
            self.task.wait()?;
        }
        self.task.delete(Some(server))
    }
}

fn trips_of_hello(stage: &Stage) -> Result<Vec<f64>> {
    let mut hello = Running::shell(stage)?;
    let command = format!("raw {}\r", WARM_UP + TRIPS);
    hello.streams.send(command.as_bytes())?;
    hello.streams.expect(&format!("{command}\n"))?;
    let trips = hello.trips()?;
    hello.end()?;
    Ok(trips)
}

fn trips_of_cat(stage: &Stage) -> Result<Vec<f64>> {
    let mut cat = Running::new(stage, &stage.busybox(&["cat"])?)?;
    let trips = cat.trips()?;
    cat.end()?;
    Ok(trips)
}

fn flood(stage: &Stage) -> Result<f64> {
    let mut hello = Running::shell(stage)?;
    let command = format!("flood {VOLUME}\r");
    hello.streams.send(command.as_bytes())?;
    // The shell's echo, a line feed after it.
    let throughput = hello.throughput(command.len() + 1 + VOLUME)?;
    hello.end()?;
    Ok(throughput)
}

fn head(stage: &Stage) -> Result<f64> {
    let mut head = Running::new(stage, &stage.busybox(&["head", "-c", &VOLUME.to_string(), "/dev/zero"])?)?;
    let throughput = head.throughput(VOLUME)?;
    head.end()?;
    Ok(throughput)
}
