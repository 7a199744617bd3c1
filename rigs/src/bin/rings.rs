//! Measures rings between two processes, and what limits them. One line per measurement, fields between tabs: whose,
//! what, unit, and the samples. `cargo xtask bench rings` makes the table of it.
//!
//! Without arguments it measures, and runs itself again as the peer: `rings echo|pong|carry BOARD polling|eventfd`.
//!
//! Everything is measured a few times in turn, again and again: what the machine does meanwhile, such as moving a
//! virtual core to another real one, is to meet all alike.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use anyhow::{Context, Result, bail, ensure};
use rigs::bell::Bell;
use rigs::board::Board;
use rigs::line::Line;
use rigs::peer::{Peer, Wait};
use rigs::raw::{self, Side};
use rigs::{c_library, drive, echo};

/// Payload bytes.
const LENGTHS: [usize; 4] = [16, 64, 256, 496];
/// Rounds, in each of which everything is measured.
const ROUNDS: usize = 17;
/// Samples of each measurement in a round. Each is the mean of a batch: one trip is about as long as a look at the clock,
/// and a long batch hardly ever goes by undisturbed.
const SAMPLES: usize = 6;
/// Round trips in a batch.
const TRIPS: u32 = 500;
/// Messages in a batch.
const FLOOD: u32 = 5000;
/// Copies in a batch.
const COPIES: u32 = 100_000;
/// Whose a line is that limits all others.
const LIMIT: &str = "limit";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => measure(),
        ["echo", board, wait] => echo_there(Path::new(board), Wait::of(wait)?),
        ["pong", board, wait] => pong(Path::new(board), Wait::of(wait)?),
        ["carry", board, _] => carry(Path::new(board)),
        _ => bail!("arguments {arguments:?}: there are none, or echo|pong|carry BOARD polling|eventfd"),
    }
}

/// The samples so far, by whose they are and what, in the order in which they came up first.
#[derive(Default)]
struct Table {
    rows: Vec<(String, &'static str, Vec<f64>)>,
    places: HashMap<String, usize>,
}

impl Table {
    fn add(&mut self, whose: &str, what: &str, unit: &'static str, samples: &[f64]) {
        let name = format!("{whose}\t{what}");
        let place = *self.places.entry(name.clone()).or_insert(self.rows.len());
        if place == self.rows.len() {
            self.rows.push((name, unit, Vec::new()));
        }
        self.rows[place].2.extend(samples);
    }

    fn tell(&self) -> Result<()> {
        for (name, unit, samples) in &self.rows {
            let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.3}")).collect();
            writeln!(io::stdout(), "{name}\t{unit}\t{}", samples.join("\t"))?;
        }
        Ok(())
    }
}

fn measure() -> Result<()> {
    rigs::core::stay_on(0)?;
    rigs::core::come_first();
    // The compiled peer lies beside this program, in the build's own directory.
    let directory = env::current_exe()?.parent().map(PathBuf::from).context("no directory")?;
    let c =
        c_library::directory().map(|library| c_library::compile_peer(&library, &directory)).transpose()?;
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        for len in LENGTHS {
            table.add(LIMIT, &format!("memcpy, {len} bytes"), "MiB/s", &samples(|| Ok(memcpy(len)))?);
        }
        for wait in Wait::ALL {
            ping_pong(&mut table, wait)?;
            if wait == Wait::Polling {
                messages(&mut table)?;
            }
            rings(&mut table, wait)?;
            if let Some(c) = &c {
                c_on_both_sides(&mut table, c, wait)?;
            }
        }
    }
    table.tell()
}

/// Our driver here, our device there.
fn rings(table: &mut Table, wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(&env::current_exe()?, "echo", &board, wait)?;
    let mut line = Line::host(&board, bell)?;
    for len in LENGTHS {
        let trips = samples(|| Ok(nanoseconds(drive::trips(&mut line, len, TRIPS)?)))?;
        table.add("ours", &format!("round trip, {len} bytes, {}", wait.name()), "ns", &trips);
        let floods = samples(|| Ok(throughput(len, FLOOD, drive::flood(&mut line, len, FLOOD)?)))?;
        table.add("ours", &format!("throughput, {len} bytes, {}", wait.name()), "MiB/s", &floods);
    }
    drive::quit(&mut line)?;
    peer.end()
}

fn echo_there(board: &Path, wait: Wait) -> Result<()> {
    rigs::core::stay_on(1)?;
    let board = Board::open(board)?;
    echo::serve(&mut Line::remote(&board, bell(wait)?)?)
}

/// The C library as driver in one process and as device in another; it measures itself, with the same batches.
fn c_on_both_sides(table: &mut Table, program: &Path, wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (ours, theirs) = Bell::pair()?;
    let (heard, rung) = ours.into_streams();
    let mut driver = Command::new(program);
    driver.args(["drive".as_ref(), board.path().as_os_str(), wait.name().as_ref()]);
    driver.args([SAMPLES.to_string(), TRIPS.to_string(), FLOOD.to_string()]);
    let driver = driver.stdin(heard).stdout(rung).stderr(Stdio::piped()).spawn()?;
    rigs::core::stay_on(1)?;
    let (heard, rung) = theirs.into_streams();
    let mut device = Command::new(program);
    device.args(["remote".as_ref(), board.path().as_os_str(), wait.name().as_ref()]);
    let mut device = device.stdin(heard).stdout(rung).spawn()?;
    rigs::core::stay_on(0)?;
    let output = driver.wait_with_output()?;
    let said = String::from_utf8(output.stderr)?;
    if !output.status.success() {
        device.kill()?;
    }
    ensure!(device.wait()?.success() && output.status.success(), "the C library: {said}");
    for line in said.lines() {
        let mut fields = line.split('\t');
        let (what, len) = (fields.next().context("a name")?, fields.next().context("a length")?);
        let unit = if what == "round trip" { "ns" } else { "MiB/s" };
        let samples = fields.map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        table.add("OpenAMP C library", &format!("{what}, {len} bytes, {}", wait.name()), unit, &samples);
    }
    Ok(())
}

/// What no ring can beat: one word in one cache line, or one eventfd each way.
fn ping_pong(table: &mut Table, wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(&env::current_exe()?, "pong", &board, wait)?;
    let mut turn = 0;
    let ping = samples(|| {
        let begun = Instant::now();
        turns(Side::Ping, &board, bell.as_ref(), &mut turn, TRIPS)?;
        Ok(nanoseconds(begun.elapsed() / TRIPS))
    })?;
    table.add(LIMIT, &format!("ping-pong, {}", wait.name()), "ns", &ping);
    peer.end()
}

fn pong(board: &Path, wait: Wait) -> Result<()> {
    rigs::core::stay_on(1)?;
    let (board, bell) = (Board::open(board)?, bell(wait)?);
    turns(Side::Pong, &board, bell.as_ref(), &mut 0, SAMPLES as u32 * TRIPS)
}

fn turns(side: Side, board: &Board, bell: Option<&Bell>, turn: &mut u32, count: u32) -> Result<()> {
    let word = board.scratch()?;
    for _ in 0..count {
        *turn += 1;
        match bell {
            Some(bell) => raw::rings(side, bell)?,
            None => raw::word(side, &word, *turn)?,
        }
    }
    Ok(())
}

/// What no ring can beat that carries messages: a message and an index each way.
fn messages(table: &mut Table) -> Result<()> {
    let board = Board::create()?;
    let (peer, _) = Peer::start(&env::current_exe()?, "carry", &board, Wait::Polling)?;
    let mut turn = 0;
    for len in LENGTHS {
        let trips = samples(|| {
            let begun = Instant::now();
            exchanges(Side::Ping, &board, len, &mut turn, TRIPS)?;
            Ok(nanoseconds(begun.elapsed() / TRIPS))
        })?;
        table.add(LIMIT, &format!("message and index, {len} bytes, polling"), "ns", &trips);
    }
    peer.end()
}

fn carry(board: &Path) -> Result<()> {
    rigs::core::stay_on(1)?;
    let (board, mut turn) = (Board::open(board)?, 0);
    LENGTHS.iter().try_for_each(|len| exchanges(Side::Pong, &board, *len, &mut turn, SAMPLES as u32 * TRIPS))
}

fn exchanges(side: Side, board: &Board, len: usize, turn: &mut u32, count: u32) -> Result<()> {
    let window = board.window()?;
    for _ in 0..count {
        *turn += 1;
        raw::message(side, &window, len, *turn)?;
    }
    Ok(())
}

fn memcpy(len: usize) -> f64 {
    let (from, mut to) = ([1u8; 512], [0u8; 512]);
    let begun = Instant::now();
    for _ in 0..COPIES {
        black_box(&mut to)[..len].copy_from_slice(&black_box(&from)[..len]);
    }
    throughput(len, COPIES, begun.elapsed())
}

fn bell(wait: Wait) -> Result<Option<Bell>> {
    if wait == Wait::Eventfd { Ok(Some(Bell::inherited()?)) } else { Ok(None) }
}

fn samples(mut sample: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    (0..SAMPLES).map(|_| sample()).collect()
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// MiB of payload per second.
fn throughput(len: usize, count: u32, time: Duration) -> f64 {
    len as f64 * f64::from(count) / f64::from(1 << 20) / time.as_secs_f64()
}
