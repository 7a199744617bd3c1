//! Runs tests one after the other: there is one core to drive.

use std::env;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qemu_tests::wait_for;

use crate::kernel_log::KernelLog;
use crate::{module, tests};

/// The argument before a test's name with which the program calls itself.
pub const ONE: &str = "--one";

/// What the kernel warns of when its emulator does not get a CPU of the host for a while.
const BUSY_HOST: &str = "hrtimer: interrupt took";

/// One test.
pub struct Test {
    /// What it is about, and what must be the case.
    pub name: &'static str,
    /// What it does.
    pub run: fn() -> Result<()>,
    /// How long it may take: generous, the machine is emulated and its host may be busy.
    pub limit: Duration,
    /// Parts of kernel messages that it provokes: warnings and worse that have none of them fail it.
    pub provokes: &'static [&'static str],
}

impl Test {
    /// A test that takes less than three minutes and at which the kernel has nothing to complain about.
    pub const fn new(name: &'static str, run: fn() -> Result<()>) -> Test {
        Test { name, run, limit: Duration::from_secs(180), provokes: &[] }
    }

    /// The same with another time limit.
    pub const fn within(self, seconds: u64) -> Test {
        Test { limit: Duration::from_secs(seconds), ..self }
    }

    /// The same with complaints of the kernel.
    pub const fn provoking(self, messages: &'static [&'static str]) -> Test {
        Test { provokes: messages, ..self }
    }
}

/// Runs the test of this name here.
pub fn run_one(name: &str) -> ExitCode {
    let result = match tests::all().find(|test| test.name == name) {
        Some(test) => (test.run)(),
        None => Err(anyhow::anyhow!("no test {name:?}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all tests that have `part` in their name.
pub fn run_all(part: &str) -> ExitCode {
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    let start = Instant::now();
    for test in tests::all() {
        if !test.name.contains(part) {
            left_out += 1;
            continue;
        }
        match one(test) {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("test {} ... FAILED\n{error:#}", test.name);
                failed += 1;
            }
        }
    }
    let (verdict, seconds) = (if failed == 0 { "ok" } else { "FAILED" }, start.elapsed().as_secs_f32());
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out; \
         finished in {seconds:.2}s"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(test: &Test) -> Result<()> {
    let start = Instant::now();
    let mut log = KernelLog::from_now()?;
    let ran = in_process(test);
    // A test that failed in between leaves what it had loaded; the next one is to find what it expects.
    let tidy = module::unload_all();
    let messages = log.warnings()?;
    let expected = test.provokes.iter().chain([&BUSY_HOST]);
    let unexpected: Vec<_> =
        messages.iter().filter(|line| !expected.clone().any(|part| line.contains(part))).cloned().collect();
    if ran.is_err() {
        messages.iter().for_each(|line| println!("kernel: {line}"));
    }
    ran?;
    tidy?;
    if !unexpected.is_empty() {
        bail!("the kernel says: {}", unexpected.join("\n"));
    }
    println!("test {} ... ok ({:.2} s)", test.name, start.elapsed().as_secs_f32());
    Ok(())
}

/// A test that panics or does not end takes nobody with it.
fn in_process(test: &Test) -> Result<()> {
    let mut child = Command::new(env::current_exe()?).args([ONE, test.name]).spawn()?;
    let status = match ended(&mut child, test.limit) {
        Ok(status) => status,
        Err(error) => {
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
    };
    if !status.success() {
        bail!("the test ended with {status}");
    }
    Ok(())
}

fn ended(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    wait_for("the test's end", limit, || child.try_wait().transpose())?.context("waiting for the test")
}
