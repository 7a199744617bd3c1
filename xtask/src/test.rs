//! Runs every test and counts them.

use std::env::consts::ARCH;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use serde_json::Value;

use crate::setup::{self, Tools};
use crate::sh::{self, Steps};
use crate::workspace::Workspace;
use crate::{amp, boards, build, fuzz, model, no_arguments};

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let mut count = Count::default();
    let complete = all(&mut count);
    if let Err(error) = &complete {
        eprintln!("error: {error:#}");
    }
    count = count.closed(complete.is_ok());
    // The last line is for a program that counts: nothing may come after it.
    println!("{count}");
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The packages whose tests need nothing but cargo.
const UNITS: [&str; 5] = ["--workspace", "--exclude", "qemu-tests", "--exclude", "cri-tests"];

/// Runs everything and counts as it goes.
fn all(count: &mut Count) -> Result<()> {
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(build::STEPS + 5 + amp::STEPS);
    steps.next("looking for what is missing");
    let tools = setup::for_tests(&workspace)?;
    build::all(&workspace, &mut steps)?;
    boards::check(&workspace, &tools.qemu)?;
    steps.next("unit tests");
    *count += run(workspace.cargo().arg("test").args(UNITS).arg("--no-fail-fast"))?;
    steps.next("model checking");
    *count += run(&mut model::test(&workspace))?;
    steps.next("fuzzing");
    *count += fuzzed(fuzz::unoptimised(&workspace, &UNITS)?.args(["--seconds", FUZZ_SECONDS]))?;
    steps.next("tests under containerd");
    *count += run(&mut under_containerd(&workspace, &tools))?;
    *count += amp::fast(&workspace, &mut steps)?;
    Ok(())
}

/// The integration tests. They need root; cargo does not, so that the target directory stays the caller's.
fn under_containerd(workspace: &Workspace, tools: &Tools) -> Command {
    let mut variables: Vec<(&str, PathBuf)> = tools.variables().into();
    variables.push(("MICRUN_ARTIFACTS", workspace.artifacts()));
    let mut cargo = workspace.cargo();
    cargo.args(["test", "-p", "qemu-tests", "-p", "cri-tests", "--no-fail-fast"]);
    if !sh::is_root() {
        let mut words = vec![Value::from("sudo")];
        words.extend(
            sh::env_arguments(variables.clone()).iter().map(|word| Value::from(word.to_string_lossy())),
        );
        // An array of JSON strings is an array of TOML strings.
        cargo
            .arg("--config")
            .arg(format!("target.'cfg(target_arch = \"{ARCH}\")'.runner={}", Value::from(words)));
    }
    cargo.envs(variables);
    cargo
}

/// How long all targets together are fuzzed: enough to see that they run.
const FUZZ_SECONDS: &str = "10";

/// Runs the fuzzer; each target that says how far it got counts as a test.
fn fuzzed(fuzzer: &mut Command) -> Result<Count> {
    let mut count = Count::default();
    let status = sh::watch(fuzzer, |line| count.passed += u64::from(line.contains(" executions, ")))?;
    Ok(count.closed(status.success()))
}

/// Runs `cargo test` and counts.
fn run(cargo: &mut Command) -> Result<Count> {
    let mut count = Count::default();
    let status = sh::watch(cargo, |line| count += Count::of(line).unwrap_or_default())?;
    Ok(count.closed(status.success()))
}

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    passed: u64,
    pub(crate) failed: u64,
    skipped: u64,
}

impl Count {
    /// What a line like `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...` counts.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let number = |what: &str| -> Option<u64> {
            let part = numbers.split("; ").find_map(|part| part.strip_suffix(what))?;
            part.trim_end().parse().ok()
        };
        Some(Self { passed: number("passed")?, failed: number("failed")?, skipped: number("ignored")? })
    }

    /// The count at the end of a run. One that fails without a failed test (it does not compile, a test program is
    /// killed) counts as one.
    pub(crate) fn closed(mut self, success: bool) -> Self {
        if !success {
            self.failed = self.failed.max(1);
        }
        self
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_counted() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 1s\n";
        assert_eq!(Count::of(line), Some(Count { passed: 5, failed: 2, skipped: 1 }));
    }

    #[test]
    fn other_lines_are_not() {
        for line in
            ["", "test a ... ok", "test result: ", "test result: ok. many passed; 0 failed; 0 ignored"]
        {
            assert_eq!(Count::of(line), None, "{line:?}");
        }
    }

    #[test]
    fn skipped_tests_are_named_only_if_there_are_any() {
        let mut count = Count { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(count.to_string(), "3 passed, 0 failed");
        count += Count { passed: 1, failed: 1, skipped: 2 };
        assert_eq!(count.to_string(), "4 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_counts_as_one() {
        let count = Count { passed: 4, failed: 0, skipped: 0 };
        assert_eq!(count.closed(true).failed, 0);
        assert_eq!(count.closed(false).failed, 1);
        assert_eq!(Count { failed: 2, ..count }.closed(false).failed, 2);
    }
}
