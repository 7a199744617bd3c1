//! Measures rings between two processes, and what limits them. One line per measurement, fields between tabs: whose,
//! what, unit, and the samples. `cargo xtask bench rings` makes the table of it.
//!
//! Without arguments it measures, and runs itself again as the peer: `rings echo|pong BOARD polling|eventfd`.

#![forbid(unsafe_code)]

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
use rigs::{c_library, drive, echo};
use shmem::{Memory, Window};

/// Payload bytes.
const LENGTHS: [usize; 4] = [16, 64, 256, 496];
/// Samples of each measurement; each is the mean of a batch, since one trip is about as long as a look at the clock.
const SAMPLES: usize = 51;
/// Round trips in a batch.
const TRIPS: u32 = 2000;
/// Messages in a batch.
const FLOOD: u32 = 20_000;
/// Copies in a batch.
const COPIES: u32 = 100_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => measure(),
        ["echo", board, wait] => echo_there(Path::new(board), Wait::of(wait)?),
        ["pong", board, wait] => pong(Path::new(board), Wait::of(wait)?),
        _ => bail!("arguments {arguments:?}: there are none, or echo|pong BOARD polling|eventfd"),
    }
}

fn measure() -> Result<()> {
    rigs::core::stay_on(0)?;
    for len in LENGTHS {
        tell("limit", &format!("memcpy, {len} bytes"), "MiB/s", &samples(|| Ok(memcpy(len)))?)?;
    }
    // The compiled peer lies beside this program, in the build's own directory.
    let directory = env::current_exe()?.parent().map(PathBuf::from).context("no directory")?;
    let c =
        c_library::directory().map(|library| c_library::compile_peer(&library, &directory)).transpose()?;
    for wait in Wait::ALL {
        tell("limit", &format!("ping-pong, {}", wait.name()), "ns", &ping_pong(wait)?)?;
        rings(wait)?;
        if let Some(c) = &c {
            c_on_both_sides(c, wait)?;
        }
    }
    Ok(())
}

/// Our driver here, our device there.
fn rings(wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(&env::current_exe()?, "echo", &board, wait)?;
    let mut line = Line::host(&board, bell)?;
    for len in LENGTHS {
        let trips = samples(|| Ok(nanoseconds(drive::trips(&mut line, len, TRIPS)?)))?;
        tell("ours", &format!("round trip, {len} bytes, {}", wait.name()), "ns", &trips)?;
        let floods = samples(|| Ok(throughput(len, FLOOD, drive::flood(&mut line, len, FLOOD)?)))?;
        tell("ours", &format!("throughput, {len} bytes, {}", wait.name()), "MiB/s", &floods)?;
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
fn c_on_both_sides(program: &Path, wait: Wait) -> Result<()> {
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
        tell("OpenAMP C library", &format!("{what}, {len} bytes, {}", wait.name()), unit, &samples)?;
    }
    Ok(())
}

/// What no ring can beat: one word in one cache line, or one eventfd each way.
fn ping_pong(wait: Wait) -> Result<Vec<f64>> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(&env::current_exe()?, "pong", &board, wait)?;
    let word = board.scratch()?;
    let mut turn = 0;
    let ping = samples(|| {
        let begun = Instant::now();
        for _ in 0..TRIPS {
            turn += 2;
            match &bell {
                Some(bell) => {
                    bell.ring()?;
                    bell.take()?;
                }
                None => {
                    word.store_u32(0, turn - 1)?;
                    await_word(&word, turn)?;
                }
            }
        }
        Ok(nanoseconds(begun.elapsed() / TRIPS))
    })?;
    peer.end()?;
    Ok(ping)
}

/// The other side; it knows how many turns there are.
fn pong(board: &Path, wait: Wait) -> Result<()> {
    rigs::core::stay_on(1)?;
    let (board, bell) = (Board::open(board)?, bell(wait)?);
    let word = board.scratch()?;
    for turn in 0..SAMPLES as u32 * TRIPS {
        match &bell {
            Some(bell) => {
                bell.take()?;
                bell.ring()?;
            }
            None => {
                await_word(&word, 2 * turn + 1)?;
                word.store_u32(0, 2 * turn + 2)?;
            }
        }
    }
    Ok(())
}

#[inline]
fn await_word(word: &Window<'_>, value: u32) -> Result<()> {
    while word.load_u32(0)? != value {
        std::hint::spin_loop();
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

fn tell(whose: &str, what: &str, unit: &str, samples: &[f64]) -> Result<()> {
    let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.3}")).collect();
    writeln!(io::stdout(), "{whose}\t{what}\t{unit}\t{}", samples.join("\t"))?;
    Ok(())
}
