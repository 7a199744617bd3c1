//! Measurements on the board, printed for the benchmarks: a line of JSON each, behind `bench `.

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qemu_tests::{Artifacts, Testbed, run_with_input, wait_for};

use crate::container::{Container, KILL, PROMPT, SHIM};
use crate::module::{MCS, Module, RPROC};
use crate::rproc::{Rproc, Tty};
use crate::wish::{RTOS, Wish};

/// The argument that asks for them.
pub const BENCH: &str = "--bench";

/// Single bytes there and back, after one that does not count.
const ROUND_TRIPS: usize = 200;
/// What firmware says at once, and how often.
const FLOOD: usize = 256 * 1024;
const FLOODS: usize = 5;
/// Runs of a container by containerd's client, after one that does not count, and how long one may take.
const CTR_RUNS: usize = 3;
const CTR_DEADLINE: Duration = Duration::from_secs(300);
/// Until everything that starts has started.
const SETTLED: Duration = Duration::from_secs(2);
const MCS_ANNOTATION: (&str, &str) = ("org.openeuler.micrun.ped.pedestal", "mcs");
const RPROC_ANNOTATION: (&str, &str) = ("remoteproc.name", "remoteproc-cpu3");

/// What one way to the firmware gives: milliseconds, then MiB per second.
#[derive(Default)]
struct Figures {
    round_trips: Vec<f64>,
    rates: Vec<f64>,
}

/// A console, whoever moves its bytes.
trait Console {
    fn type_in(&mut self, bytes: &[u8]) -> Result<()>;
    fn expect(&mut self, text: &str) -> Result<()>;
}

impl Console for Container {
    fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        Container::type_in(self, bytes)
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        Container::expect(self, text).map(drop)
    }
}

impl Console for Tty {
    fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        Tty::type_in(self, bytes)
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        Tty::expect(self, text)
    }
}

/// Measures everything and prints it.
pub fn run() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a million")]
    print("size of the shim on the board's disk", "bytes", &[fs::metadata(SHIM)?.len() as f64], None);
    let (mcs, mcs_pss, start) = container(MCS, MCS_ANNOTATION)?;
    let (rproc, rproc_pss, rproc_start) = container(RPROC, RPROC_ANNOTATION)?;
    let kernel = kernel()?;
    let peer = "rpmsg_tty alone";
    print("PSS of the idle shim, mcs", "KiB", &[mcs_pss], None);
    print("PSS of the idle shim, remoteproc", "KiB", &[rproc_pss], None);
    print("Create and Start to the first byte, mcs", "ms", &[start], None);
    print("Create and Start to the first byte, remoteproc", "ms", &[rproc_start], None);
    let trips = Some((peer, kernel.round_trips.as_slice()));
    print("round trip through a container, mcs", "ms", &mcs.round_trips, trips);
    print("round trip through a container, remoteproc", "ms", &rproc.round_trips, trips);
    let rates = Some((peer, kernel.rates.as_slice()));
    print("throughput of a container, mcs", "MiB/s", &mcs.rates, rates);
    print("throughput of a container, remoteproc", "MiB/s", &rproc.rates, rates);
    for (module, pedestal) in [(MCS, "mcs"), (RPROC, "remoteproc")] {
        print(
            &format!("ctr run of firmware that ends at once, {pedestal}"),
            "ms",
            &ctr_runs(module, pedestal)?,
            None,
        );
    }
    Ok(())
}

/// From the command to its end, all of it: client, containerd, shim, core.
fn ctr_runs(module: &'static str, pedestal: &str) -> Result<Vec<f64>> {
    let _module = Module::load(module, "")?;
    let bed = Testbed::new()?;
    let annotation = format!("org.openeuler.micrun.ped.pedestal={pedestal}");
    let run = |round: usize| {
        let id = format!("bench-{round}");
        let words = bed.run_words(&["--rm", "--annotation", &annotation], Artifacts::HELLO, &id);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let output = run_with_input(&mut bed.ctr.command(&words), b"exit 0\r", CTR_DEADLINE)?;
        ensure!(output.status.success(), "{}: {}", output.status, output.complaint());
        Ok(milliseconds(begun.elapsed()))
    };
    // The first one reads everything from the disk.
    run(0)?;
    let runs = (1..=CTR_RUNS).map(run).collect();
    bed.clean()?;
    runs
}

/// Our channel, FIFOs and all; the PSS of its shim, and how long it took to the prompt.
fn container(module: &'static str, annotation: (&str, &str)) -> Result<(Figures, f64, f64)> {
    let _module = Module::load(module, "")?;
    let annotations = [annotation];
    let begun = Instant::now();
    let mut container = Container::run(Wish::new("bench", &annotations))?;
    container.type_in(b"\r")?;
    Console::expect(&mut container, PROMPT)?;
    let start = milliseconds(begun.elapsed());
    std::thread::sleep(SETTLED);
    let pss = pss(container.server())?;
    let figures = figures(&mut container)?;
    container.signal(KILL)?;
    container.wait()?;
    container.delete()?;
    Ok((figures, pss, start))
}

/// The kernel's own channel and its terminal.
fn kernel() -> Result<Figures> {
    let _module = Module::load(RPROC, "")?;
    let rproc = Rproc::find()?;
    rproc.set_firmware(&fs::read(RTOS)?)?;
    rproc.start()?;
    let mut tty = Tty::open()?;
    tty.type_in(b"\r")?;
    tty.expect(PROMPT)?;
    let figures = figures(&mut tty)?;
    drop(tty);
    rproc.stop()?;
    Ok(figures)
}

fn figures(console: &mut dyn Console) -> Result<Figures> {
    let mut figures = Figures::default();
    console.type_in(format!("raw {}\r", ROUND_TRIPS + 1).as_bytes())?;
    console.expect(&format!("raw {}\r\n", ROUND_TRIPS + 1))?;
    for _ in 0..=ROUND_TRIPS {
        let begun = Instant::now();
        console.type_in(b"x")?;
        console.expect("x")?;
        figures.round_trips.push(milliseconds(begun.elapsed()));
    }
    figures.round_trips.remove(0);
    console.expect(PROMPT)?;
    for _ in 0..FLOODS {
        console.type_in(format!("flood {FLOOD}\r").as_bytes())?;
        console.expect("00000000 ")?;
        let begun = Instant::now();
        console.expect(PROMPT)?;
        #[expect(clippy::cast_precision_loss, reason = "a quarter of a million")]
        let mebibytes = FLOOD as f64 / f64::from(1 << 20);
        figures.rates.push(mebibytes / begun.elapsed().as_secs_f64());
    }
    Ok(figures)
}

/// In KiB.
fn pss(pid: u32) -> Result<f64> {
    let read = || {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    wait_for("the shim's PSS", SETTLED, read).context("smaps_rollup")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Numbers and plain text look the same in JSON and in Rust.
fn print(what: &str, unit: &str, samples: &[f64], peer: Option<(&str, &[f64])>) {
    // A microsecond is as exact as it gets.
    let rounded =
        |samples: &[f64]| samples.iter().map(|sample| (sample * 1e3).round() / 1e3).collect::<Vec<_>>();
    let samples = rounded(samples);
    let peer = peer.map_or_else(String::new, |(name, samples)| {
        format!(r#","peer":{name:?},"peer_samples":{:?}"#, rounded(samples))
    });
    println!(r#"bench {{"what":{what:?},"unit":{unit:?},"samples":{samples:?}{peer}}}"#);
}
