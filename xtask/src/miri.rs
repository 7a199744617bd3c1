//! The tests of `shmem` and `openamp` under Miri, which sees undefined behaviour that hardware forgives.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::no_arguments;
use crate::sh;
use crate::workspace::Workspace;

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let probe = ["run", "nightly", "cargo", "miri", "--version"];
    if !sh::works("rustup", &probe) {
        bail!("Miri is missing: rustup toolchain install nightly --component miri,rust-src");
    }
    sh::run(&mut tests(&Workspace::find()?))?;
    Ok(ExitCode::SUCCESS)
}

/// A few cases of each property: Miri is a thousand times slower than the machine.
fn tests(workspace: &Workspace) -> Command {
    let mut cargo = sh::command("rustup");
    cargo.current_dir(&workspace.root).args(["run", "nightly", "cargo", "miri", "test"]);
    cargo.args(["-p", "shmem", "-p", "openamp", "--target-dir"]).arg(workspace.target.join("miri"));
    // Proptest asks for its working directory.
    cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "2");
    // The cargo that runs this task tells its own toolchain, which would win.
    cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    cargo
}
