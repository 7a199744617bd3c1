//! `push`: brings the image of an archive to a registry.

use std::io;
use std::path::PathBuf;

use clap::Args;
use image_builder::blobs::{BlobError, Blobs};
use image_builder::input;
use image_builder::push::{PushError, push};
use image_builder::remote::Remote;
use serde_json::json;

use super::look::{PrintError, print, print_json};
use super::registry::RegistryArgs;

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Image archive
    #[arg(value_name = "TAR")]
    archive: PathBuf,
    /// Where to, such as registry.example.org/demo/hello:1
    #[arg(value_name = "NAME")]
    name: Remote,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushCommandError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: BlobError },
    #[error("cannot push {path}: {source}")]
    Push { path: PathBuf, source: PushError },
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Runs the command; on success prints name and digest of the image.
pub(crate) fn run(args: &PushArgs) -> Result<(), PushCommandError> {
    let path = || args.archive.clone();
    let file = input::open(&args.archive).map_err(|error| BlobError::Tar(io::Error::other(error)));
    let blobs = file.and_then(Blobs::open);
    let blobs = blobs.map_err(|source| PushCommandError::Read { path: path(), source })?;
    let pushed = push(&args.registry.open(&args.name), &args.name, &blobs);
    let pushed = pushed.map_err(|source| PushCommandError::Push { path: path(), source })?;
    let (name, digest) = (args.name.as_str(), &pushed.digest);
    let printed = if args.json {
        print_json(&json!({
            "name": name, "digest": digest, "blobs": pushed.blobs, "referrers": pushed.referrers,
        }))
    } else {
        print(&format!("{name} {digest}\n"))
    };
    Ok(printed?)
}
