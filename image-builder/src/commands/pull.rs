//! `pull`: brings an image from a registry into an archive.

use std::path::PathBuf;

use clap::Args;
use image_builder::output::{Output, OutputError};
use image_builder::platform::Platform;
use image_builder::pull::{PullError, pull};
use image_builder::remote::Remote;
use serde_json::json;

use super::look::{PrintError, print, print_json};
use super::registry::RegistryArgs;

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The image, such as registry.example.org/demo/hello:1
    #[arg(value_name = "NAME")]
    name: Remote,
    /// Archive to write
    #[arg(long, value_name = "TAR")]
    output: PathBuf,
    /// Platform to take of an image for several; all of them if absent
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullCommandError {
    #[error("cannot pull: {0}")]
    Pull(#[from] PullError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Runs the command; on success prints name and digest of the image.
pub(crate) fn run(args: &PullArgs) -> Result<(), PullCommandError> {
    let mut output = Output::create(&args.output)?;
    let pulled = pull(&args.registry.open(&args.name), &args.name, args.platform, output.file())?;
    output.commit()?;
    let (name, digest) = (args.name.as_str(), &pulled.digest);
    let printed = if args.json {
        print_json(&json!({ "name": name, "digest": digest, "referrers": pulled.referrers }))
    } else {
        print(&format!("{name} {digest}\n"))
    };
    Ok(printed?)
}
