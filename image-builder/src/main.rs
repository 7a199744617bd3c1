//! `micrun-image-builder`: the table of its commands.
#![forbid(unsafe_code)]

mod cli;
mod commands;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("micrun-image-builder: {error}");
        ExitCode::FAILURE
    })
}

/// Exit status if the answer is no. A command that failed has 1, a wrong command line 2.
const NO: u8 = 3;

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    let yes = match command {
        Command::Bundle(args) => commands::bundle::run(&args).map(|()| true)?,
        Command::Import(args) => commands::import::run(&args).map(|()| true)?,
        Command::Push(args) => commands::push::run(&args).map(|()| true)?,
        Command::Pull(args) => commands::pull::run(&args).map(|()| true)?,
        Command::Completions(args) => commands::completions::run(&args).map(|()| true)?,
        Command::Man(args) => commands::man::run(&args).map(|()| true)?,
        Command::Inspect(args) => commands::inspect::run(&args).map(|()| true)?,
        Command::Verify(args) => commands::verify::run(&args)?,
        Command::Diff(args) => commands::diff::run(&args)?,
    };
    Ok(if yes { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}
