//! The command line, parsed without touching the world.

use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use firmware::board::{Board, BoardError};
use image_builder::layer::Format;
use image_builder::platform::Platform;
use image_builder::reference::Reference;

use crate::commands::completions::CompletionsArgs;
use crate::commands::diff::DiffArgs;
use crate::commands::import::ImportArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::man::ManArgs;
use crate::commands::pull::PullArgs;
use crate::commands::push::PushArgs;
use crate::commands::verify::VerifyArgs;

const AFTER_HELP: &str = "\
Examples:
  micrun-image-builder bundle --firmware app.elf --board qemu-arm64 --name localhost/hello:1 --output hello.tar
  micrun-image-builder inspect hello.tar
  micrun-image-builder verify hello.tar --strict
  micrun-image-builder push hello.tar registry.example.org/plant/hello:1

Exit status: 0 done; 1 failed, with one line on standard error; 2 wrong command line; 3 the answer is no (verify, diff).

Credentials are those of docker login and podman login.";

/// Packs RTOS firmware into OCI images for micrun
#[derive(Debug, Parser)]
#[command(name = "micrun-image-builder", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an image archive of firmware, for `ctr image import` and `docker load`
    Bundle(Box<BundleArgs>),
    /// Say what is in an image or a firmware file: segments, resource table, services, memory of the board
    Inspect(InspectArgs),
    /// Check an image against its labels, its board and a policy; exit status 3 if it fails
    Verify(VerifyArgs),
    /// Say what changed between two images or firmware files; exit status 3 if anything did
    Diff(DiffArgs),
    /// Bring the image of an archive to a registry
    Push(PushArgs),
    /// Bring an image from a registry into an archive
    Pull(PullArgs),
    /// Bring the image of an archive into the containerd of this machine
    Import(ImportArgs),
    /// Print the script that lets a shell complete the command line
    Completions(CompletionsArgs),
    /// Write manual pages
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Recipe, a TOML file that says what the image is made of; the other options win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Firmware, a 64-bit AArch64 ELF executable with a section .resource_table
    #[arg(long, value_name = "ELF", required_unless_present = "recipe")]
    pub(crate) firmware: Option<PathBuf>,
    /// MICA's client.conf; made from image name and board if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) client_conf: Option<PathBuf>,
    /// Board that the firmware is for, such as qemu-arm64, or a board file
    #[arg(long, value_name = "BOARD", value_parser = board, required_unless_present = "recipe")]
    pub(crate) board: Option<Board>,
    /// Name of the image, such as localhost/hello:1
    #[arg(long, value_name = "NAME", required_unless_present = "recipe")]
    pub(crate) name: Option<Reference>,
    /// Archive to write
    #[arg(long, value_name = "TAR")]
    pub(crate) output: PathBuf,
    /// RTOS of the firmware, such as zephyr
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) rtos: Option<String>,
    /// Version of the RTOS
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) rtos_version: Option<String>,
    /// Version of the firmware (org.opencontainers.image.version)
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) version: Option<String>,
    /// Title of the image (org.opencontainers.image.title)
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) title: Option<String>,
    /// SPDX licence expression (org.opencontainers.image.licenses)
    #[arg(long, value_name = "SPDX", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) licenses: Option<String>,
    /// Revision of the source (org.opencontainers.image.revision)
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) revision: Option<String>,
    /// Where the source is (org.opencontainers.image.source)
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) source: Option<String>,
    /// Platform of the containerd host, linux/amd64 or linux/arm64; this machine's if absent. May be repeated: the image is
    /// an index then, and its layer is there once
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<Platform>,
    /// How the layer is packed: tar, tar+gzip, tar+zstd, or erofs (a file system for containerd's EROFS snapshotter, made by
    /// mkfs.erofs); tar if absent
    #[arg(long, value_name = "FORMAT")]
    pub(crate) layer: Option<Format>,
    /// Add a bill of materials that the builder makes (CycloneDX), as a referrer of the image
    #[arg(long, conflicts_with = "sbom_file")]
    pub(crate) sbom: bool,
    /// Add the bill of materials that the firmware's own build made (SPDX or CycloneDX in JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) sbom_file: Option<PathBuf>,
    /// Further label and annotation; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) annotation: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A board that is built in, or the file of another one.
pub(crate) fn board(name: &str) -> Result<Board, BoardError> {
    if name.ends_with(".toml") { Board::read(Path::new(name)) } else { Board::by_name(name) }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or_else(|| "it must be of the form KEY=VALUE".to_owned())?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}
