//! Fuzzes what reads bytes from outside; the targets are in `rigs/src/fuzz`.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::sh;
use crate::workspace::Workspace;

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let mut fuzzer = build(&Workspace::find()?)?;
    sh::run(fuzzer.args(arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the fuzzer, optimised and with every check, and gives the command that runs it.
///
/// # Errors
/// It does not build.
pub(crate) fn build(workspace: &Workspace) -> Result<Command> {
    sh::run(workspace.cargo().args(["build", "--profile", "fuzz", "-p", "rigs", "--bin", "fuzz"]))?;
    Ok(sh::command(workspace.target.join("fuzz/fuzz")))
}
