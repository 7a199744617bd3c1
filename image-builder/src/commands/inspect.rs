//! `inspect`: reads a file and says all that is known of it.

use clap::Args;
use firmware::board::Board;
use image_builder::inspect::Report;

use super::look::{LookError, SubjectArgs, open, print, print_json};
use crate::cli::board;

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Board to draw the memory of; the one of the image's label if absent
    #[arg(long, value_name = "BOARD", value_parser = board)]
    board: Option<Board>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<(), LookError> {
    let report = Report::of(&open(&args.subject.subject, &args.subject.how)?, args.board.clone());
    let report = report.map_err(LookError::Firmware)?;
    let printed = if args.json { print_json(&report) } else { print(&report.to_string()) };
    Ok(printed?)
}
