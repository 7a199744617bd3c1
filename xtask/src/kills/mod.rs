//! The kill matrix: SIGKILL to shim, containerd and emulator at every step of a container's life. After each kill
//! containerd must come to know the truth, nothing may be left, and another container must not have noticed.

mod bystander;
mod gate;
mod ground;
mod plan;
mod round;
mod truth;
mod victims;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use qemu_tests::Artifacts;

use self::ground::{FAKE_SHIM, Ground};
use self::plan::{Round, Step, Victim};
use self::round::Shown;
use self::truth::State;
use crate::sh::{self, Steps};
use crate::workspace::Workspace;
use crate::{build, setup};

/// What a change must survive.
const ROUNDS: usize = 200;

/// How often a kill may come too late.
const TRIES: usize = 20;

/// The environment in which the matrix calls itself: what `setup` and `build` have found and made.
const QEMU: &str = "MICRUN_QEMU";
const ARTIFACTS: &str = "MICRUN_ARTIFACTS";
const FAKE: &str = "MICRUN_FAKE_SHIM";

/// Directories that all shims of a machine share get an empty layer: what others leave there meanwhile is not ours.
const ALONE: &str = "mkdir -p /run/containerd && mount -t tmpfs none /run/containerd && \
                     mount -t tmpfs none /dev/shm && exec \"$@\"";

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    rounds: Option<usize>,
    seed: Option<u64>,
    /// Play those rounds of the plan only whose description contains this.
    only: Option<String>,
    /// Set-up and build are done, and the directories are ours.
    prepared: bool,
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = parse(arguments)?;
    if wish.prepared {
        return all(&wish);
    }
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(build::STEPS + 2);
    steps.next("looking for what is missing");
    let tools = setup::for_tests(&workspace)?;
    build::all(&workspace, &mut steps)?;
    steps.next("building the shim with the fake core");
    let fake = build::fake_shim(&workspace)?;
    let variables = [(QEMU, tools.qemu), (ARTIFACTS, workspace.artifacts()), (FAKE, fake)];
    let mut alone = sh::as_root("unshare", variables);
    alone.args(["--mount", "--propagation", "private", "sh", "-c", ALONE, "sh"]);
    alone.arg(env::current_exe()?).args(["kills", "--prepared"]).args(arguments);
    let ended = alone.status().context("cannot start unshare")?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let number = |rest: &mut std::slice::Iter<'_, String>| -> Result<u64> {
            let text = rest.next().with_context(|| format!("{argument}: the number is missing"))?;
            text.parse().with_context(|| format!("{argument} {text:?}: must be a number"))
        };
        match argument.as_str() {
            "--rounds" => wish.rounds = Some(usize::try_from(number(&mut rest)?)?),
            "--seed" => wish.seed = Some(number(&mut rest)?),
            "--only" => wish.only = Some(rest.next().context("--only: the words are missing")?.clone()),
            "--prepared" => wish.prepared = true,
            other => bail!("argument {other:?}: the matrix takes --rounds N, --seed N and --only WORDS"),
        }
    }
    Ok(wish)
}

/// Plays all rounds; the last line is for a program that counts.
fn all(wish: &Wish) -> Result<ExitCode> {
    let seed = wish.seed.map_or_else(clock, Ok)?;
    let mut rounds = plan::rounds(wish.rounds.unwrap_or(ROUNDS), seed);
    rounds.retain(|round| wish.only.as_ref().is_none_or(|only| round.to_string().contains(only)));
    println!("seed {seed}");
    let artifacts = Artifacts::from_env();
    let (kills, begun) = (rounds.len(), Instant::now());
    let fakes = named(&PathBuf::from(env::var_os(FAKE).context(FAKE)?))?;
    let report = play(rounds, &artifacts, fakes.path())?;
    report.print(seed, begun.elapsed());
    println!("{kills} kills, {} leaks", report.leaks.len());
    Ok(if report.leaks.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A seed that nobody chose.
fn clock() -> Result<u64> {
    Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()))
}

/// A directory in which containerd finds the shim with the fake core.
fn named(fake: &Path) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    std::os::unix::fs::symlink(fake, directory.path().join(FAKE_SHIM))?;
    Ok(directory)
}

fn play(rounds: Vec<Round>, artifacts: &Artifacts, fakes: &Path) -> Result<Report> {
    let (mut report, total) = (Report::default(), rounds.len());
    let mut ground = Ground::prepare(artifacts, fakes)?;
    for (index, mut round) in rounds.into_iter().enumerate() {
        let begun = Instant::now();
        let told = format!("[{}/{total}] {round}", index + 1);
        match hit(&mut ground, &mut round) {
            Ok(shown) => {
                println!("{told}: {} ({} ms)", shown.state, begun.elapsed().as_millis());
                report.saw(&round, shown);
            }
            Err(error) => {
                println!("{told}: LEAK: {error:#}");
                report.leaks.push(format!("round {} ({round}): {error:#}", round.number));
                // What a failed round leaves must not fail the next ones.
                drop(ground);
                ground = Ground::prepare(artifacts, fakes)?;
            }
        }
    }
    if let Err(error) = ground.end() {
        report.leaks.push(format!("the end: {error:#}"));
    }
    Ok(report)
}

/// Plays a round until it hits.
fn hit(ground: &mut Ground, round: &mut Round) -> Result<Shown> {
    for _ in 0..TRIES {
        let shown = round::play(ground, round)?;
        if shown.hit {
            return Ok(shown);
        }
    }
    bail!("nothing was killed in {TRIES} tries")
}

/// What became of all.
#[derive(Default)]
struct Report {
    leaks: Vec<String>,
    /// How often a pair led to a state, and what one of the users was told.
    seen: BTreeMap<(Victim, Step, State), (usize, String)>,
}

impl Report {
    fn saw(&mut self, round: &Round, shown: Shown) {
        let (count, complaint) = self.seen.entry((round.victim, round.step, shown.state)).or_default();
        *count += 1;
        if complaint.is_empty() {
            *complaint = shown.complaint;
        }
    }

    fn print(&self, seed: u64, time: Duration) {
        println!("\nwhat was killed, when, and what then was true:");
        for ((victim, step, state), (count, complaint)) in &self.seen {
            println!("  {victim:<20} {step:<7} {state:<8} {count:>4}  {complaint}");
        }
        for leak in &self.leaks {
            println!("\nLEAK, {leak}");
        }
        println!("\nseed {seed}, {} s", time.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(arguments: &[&str]) -> Result<Wish> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_arguments_are_read_in_any_order() {
        let all = Wish { rounds: Some(3), seed: Some(4), only: Some("pod".into()), prepared: false };
        assert_eq!(wish(&["--seed", "4", "--only", "pod", "--rounds", "3"]).unwrap(), all);
        assert_eq!(wish(&[]).unwrap(), Wish::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [&["--rounds"][..], &["--rounds", "many"], &["--round", "3"], &["3"]] {
            assert!(wish(arguments).is_err(), "{arguments:?}");
        }
    }
}
