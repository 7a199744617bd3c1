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
fn build(workspace: &Workspace) -> Result<Command> {
    built(workspace, &["--profile", "fuzz", "-p", "rigs"], "fuzz")
}

/// The same of what `cargo test` with the arguments `packages` has built: slow, but it is there already.
///
/// # Errors
/// It does not build.
pub(crate) fn unoptimised(workspace: &Workspace, packages: &[&str]) -> Result<Command> {
    built(workspace, packages, "debug")
}

fn built(workspace: &Workspace, arguments: &[&str], directory: &str) -> Result<Command> {
    sh::run(workspace.cargo().arg("build").args(arguments).args(["--bin", "fuzz"]))?;
    Ok(sh::command(workspace.target.join(directory).join("fuzz")))
}
