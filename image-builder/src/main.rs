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

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Bundle(args) => commands::bundle::run(&args)?,
        Command::Inspect(args) => commands::inspect::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
