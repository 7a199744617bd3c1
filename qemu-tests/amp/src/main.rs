//! Runs inside an arm64 Linux that shares its board with firmware: tests of the kernel's side and of micrun's,
//! against the real devices.
//!
//! `amp-tests [PART OF A NAME]` runs the tests whose names have it, each in a process of its own with a time limit. A
//! test fails if it says so, and if the kernel has warned of something that it does not expect. Output is that of
//! `cargo test`. A new test is a function in [`tests`] and a line in the table beside it.

mod bench;
mod container;
mod core;
mod kernel_log;
mod mcs;
mod module;
mod rproc;
mod stubborn;
mod suite;
mod tests;
mod wish;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [bench::BENCH] => bench::run(),
        [suite::ONE, name] => suite::run_one(name),
        [] => suite::run_all(""),
        [part] => suite::run_all(part),
        _ => {
            eprintln!("amp-tests takes a part of a test's name, or nothing");
            ExitCode::FAILURE
        }
    }
}
