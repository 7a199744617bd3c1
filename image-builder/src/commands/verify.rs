//! `verify`: says whether an image may be run; the exit status says it too.

use clap::Args;
use firmware::board::Board;
use image_builder::verify::{Policy, verify};

use super::look::{LookError, SubjectArgs, open, print, print_json};
use crate::cli::board;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Board that the image must be for; the one of its label if absent
    #[arg(long, value_name = "BOARD", value_parser = board)]
    board: Option<Board>,
    /// Label that must be there, and what it must be; may be repeated
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = requirement)]
    require: Vec<(String, Option<String>)>,
    /// Demand a signature (cosign, notation) beside the image; it is not proven
    #[arg(long)]
    signed: bool,
    /// Fail on doubts, such as a missing checksum, too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; true if the image passes.
pub(crate) fn run(args: &VerifyArgs) -> Result<bool, LookError> {
    let policy = Policy {
        board: args.board.clone(),
        require: args.require.clone(),
        signed: args.signed,
        strict: args.strict,
    };
    let verdict = verify(&open(&args.subject.subject, &args.subject.how)?, &policy);
    let verdict = verdict.map_err(LookError::Firmware)?;
    let printed = if args.json { print_json(&verdict) } else { print(&verdict.to_string()) };
    Ok(printed.map(|()| verdict.holds)?)
}

fn requirement(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err("it must be of the form KEY or KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.map(str::to_owned)))
}
