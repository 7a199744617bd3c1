//! What the commands that only look have in common.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use image_builder::platform::Platform;
use image_builder::subject::{self, Subject, SubjectError};
use serde::Serialize;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Image archive, or firmware that is not packed yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Platform to take of an archive with several; this machine's if absent
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
}

/// Why a command that looks failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("cannot read {path}: {source}")]
    Subject { path: PathBuf, source: SubjectError },
    #[error("cannot write to standard output: {0}")]
    Print(#[from] io::Error),
}

pub(crate) fn open(path: &Path, platform: Option<Platform>) -> Result<Subject, LookError> {
    subject::open(path, platform).map_err(|source| LookError::Subject { path: path.to_owned(), source })
}

pub(crate) fn print(text: &str) -> Result<(), LookError> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

pub(crate) fn print_json(report: &impl Serialize) -> Result<(), LookError> {
    let json = serde_json::to_string_pretty(report).map_err(io::Error::from)?;
    print(&(json + "\n"))
}
