//! `man`: manual pages of the program and of each command, made of the same texts as `--help`.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use image_builder::output::{self, OutputError};

use crate::cli::Cli;

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory that the pages are written to, such as /usr/local/share/man/man1
    directory: PathBuf,
}

/// Why a page is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManError {
    #[error("cannot make a manual page: {0}")]
    Render(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Writes a page for the program and one for each command.
pub(crate) fn run(args: &ManArgs) -> Result<(), ManError> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let pages: Vec<Command> = program.get_subcommands().cloned().chain([program.clone()]).collect();
    for command in pages {
        let page = Man::new(command).source(concat!("micrun ", env!("CARGO_PKG_VERSION")));
        let mut text = Vec::new();
        page.render(&mut text)?;
        output::write(&args.directory.join(page.get_filename()), &text)?;
    }
    Ok(())
}
