//! `diff`: says what changed between two files; the exit status says whether anything did.

use std::path::PathBuf;

use clap::Args;
use image_builder::diff::diff;
use image_builder::platform::Platform;

use super::look::{LookError, open, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Image archive, or firmware that is not packed yet
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The same, newer
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Platform to take of archives with several; this machine's if absent
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; true if nothing changed.
pub(crate) fn run(args: &DiffArgs) -> Result<bool, LookError> {
    let differences = diff(&open(&args.old, args.platform)?, &open(&args.new, args.platform)?);
    let printed = if args.json { print_json(&differences) } else { print(&differences.to_string()) };
    printed.map(|()| differences.changes.is_empty())
}
