//! Interoperation with the OpenAMP C library, live, in both roles. It takes part where `MICRUN_OPENAMP` names the
//! directory it is installed to (see `rigs::c_library`); elsewhere these tests are counted as ignored.
//!
//! A test that is told at run time to be ignored needs a harness of its own.

use std::process::ExitCode;

use anyhow::{Context, Result};
use rigs::board::Board;
use rigs::drive;
use rigs::line::Line;
use rigs::peer::{Peer, Wait};
use rigs::{c_library, echo};

const LENGTHS: [usize; 6] = [1, 16, 64, 256, 495, 496];
const ECHOES: usize = 1000;

type Test = (&'static str, fn(&std::path::Path, Wait) -> Result<()>);

const TESTS: [Test; 2] = [("c_is_the_remote", c_is_the_remote), ("c_is_the_host", c_is_the_host)];

fn main() -> ExitCode {
    let Some(library) = c_library::directory() else {
        println!("{} is not set: nothing was tested against the C library", c_library::VARIABLE);
        return report(0, 0, TESTS.len() * Wait::ALL.len());
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let peer = c_library::compile_peer(&library, directory.path()).expect("the peer compiles");
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in TESTS {
        for wait in Wait::ALL {
            match test(&peer, wait).with_context(|| format!("{name}, {}", wait.name())) {
                Ok(()) => passed += 1,
                Err(error) => {
                    println!("{error:#}");
                    failed += 1;
                }
            }
        }
    }
    report(passed, failed, 0)
}

/// The line that cargo's own harness ends with.
fn report(passed: usize, failed: usize, ignored: usize) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// It announces its service, echoes, and takes its endpoint back at the end.
fn c_is_the_remote(peer: &std::path::Path, wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(peer, "remote", &board, wait)?;
    let mut line = Line::host(&board, bell)?;
    all_lengths(&mut line)?;
    line.await_withdrawal()?;
    peer.end()
}

/// It sets up the rings and binds what we announce.
fn c_is_the_host(peer: &std::path::Path, wait: Wait) -> Result<()> {
    let board = Board::create()?;
    let (peer, bell) = Peer::start(peer, "host", &board, wait)?;
    let mut line = Line::remote(&board, bell)?;
    all_lengths(&mut line)?;
    peer.end()
}

fn all_lengths(line: &mut Line<'_>) -> Result<()> {
    for len in LENGTHS {
        drive::checked_echoes(line, len, ECHOES)?;
        drive::flood(line, len, ECHOES as u32)?;
    }
    line.send(&[echo::QUIT])
}
