//! Runs fuzz targets: `fuzz [TARGET] [--seconds N] [--seed S] [--at EXECUTION]`.
//!
//! Without a target the time is shared among all. A crash is a panic; before the process ends with it, the line that
//! runs the same execution again is printed.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, panic};

use anyhow::{Context, Result, bail};
use rigs::fuzz::{Runner, Source, TARGETS, Target};

/// Executions between two looks at the clock.
const BATCH: u64 = 256;
/// What one run does if nothing is said.
const SECONDS: u64 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Wish::parse(&arguments).map(Wish::fulfil) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Wish {
    targets: Vec<&'static Target>,
    time: Duration,
    seed: u64,
    at: Option<u64>,
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Wish> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let (mut name, mut seconds, mut seed, mut at) = (None, SECONDS, now, None);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || -> Result<u64> {
                let word = rest.next().with_context(|| format!("{argument}: the number is missing"))?;
                word.parse().with_context(|| format!("{argument} {word}: not a number"))
            };
            match argument.as_str() {
                "--seconds" => seconds = number()?,
                "--seed" => seed = number()?,
                "--at" => at = Some(number()?),
                _ => name = Some(argument.as_str()),
            }
        }
        let targets: Vec<_> =
            TARGETS.iter().filter(|target| name.is_none_or(|name| name == target.name)).collect();
        if targets.is_empty() || (at.is_some() && name.is_none()) {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            bail!("target {:?}: one of {}", name.unwrap_or_default(), names.join(", "));
        }
        Ok(Wish { targets, time: Duration::from_secs(seconds), seed, at })
    }

    fn fulfil(self) {
        let share = self.time / self.targets.len() as u32;
        for target in self.targets {
            tell_of_crashes(target.name, self.seed);
            let mut runner = (target.runner)();
            match self.at {
                Some(number) => run(&mut runner, self.seed, number),
                None => run_for(share, &mut runner, target.name, self.seed),
            }
        }
    }
}

/// The execution that is running.
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn run(runner: &mut Runner, seed: u64, number: u64) {
    NUMBER.store(number, Ordering::Relaxed);
    runner(&mut Source::of(seed, number));
}

fn run_for(time: Duration, runner: &mut Runner, name: &str, seed: u64) {
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < time {
        for _ in 0..BATCH {
            run(runner, seed, number);
            number += 1;
        }
    }
    let rate = number as f64 / begun.elapsed().as_secs_f64();
    println!("{name}: {number} executions, {rate:.0} per second, seed {seed}");
}

fn tell_of_crashes(name: &'static str, seed: u64) {
    panic::set_hook(Box::new(move |panic| {
        let number = NUMBER.load(Ordering::Relaxed);
        eprintln!("{panic}\ncrash in {name}; again: cargo xtask fuzz {name} --seed {seed} --at {number}");
    }));
}
