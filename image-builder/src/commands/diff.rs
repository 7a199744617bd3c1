//! `diff`: says what changed between two files; the exit status says whether anything did.

use std::path::PathBuf;

use clap::Args;
use image_builder::diff::diff;

use super::look::{LookArgs, LookError, open, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Image archive, firmware that is not packed, or the name of an image in a registry or in containerd
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The same, newer
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    how: LookArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; true if nothing changed.
pub(crate) fn run(args: &DiffArgs) -> Result<bool, LookError> {
    let differences = diff(&open(&args.old, &args.how)?, &open(&args.new, &args.how)?);
    let differences = differences.map_err(LookError::Firmware)?;
    let printed = if args.json { print_json(&differences) } else { print(&differences.to_string()) };
    Ok(printed.map(|()| differences.changes.is_empty())?)
}
