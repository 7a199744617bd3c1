//! `bundle`: reads the files and the environment, makes the image, writes it.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use firmware::client_conf;
use firmware::file::{self, FileError, MAX_FIRMWARE_LEN};
use firmware::label;
use image_builder::bundle::{BundleError, Request, bundle};
use image_builder::epoch::{Epoch, EpochError};
use image_builder::input;
use image_builder::output::{self, OutputError};
use image_builder::platform::{Platform, PlatformError};

use crate::cli::BundleArgs;

const TIME: &str = "SOURCE_DATE_EPOCH";

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleCommandError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: FileError },
    #[error("{0}: the file is not text in UTF-8")]
    NotText(PathBuf),
    #[error(transparent)]
    Time(#[from] EpochError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("cannot write to standard output: {0}")]
    Print(io::Error),
}

/// Runs the command; on success prints name and digest of the image.
pub(crate) fn run(args: &BundleArgs) -> Result<(), BundleCommandError> {
    let time = env::var_os(TIME).map(|text| Epoch::parse(&text.to_string_lossy())).transpose()?;
    let firmware = read(&args.firmware, MAX_FIRMWARE_LEN)?;
    let client_conf = args.client_conf.as_deref().map(read_text).transpose()?;
    let image = bundle(&Request {
        firmware: &firmware,
        client_conf: client_conf.as_deref(),
        board: args.board,
        name: &args.name,
        platform: args.platform.map_or_else(Platform::host, Ok)?,
        time,
        labels: &labels(args),
        annotations: &args.annotation,
    })?;
    for warning in &image.warnings {
        eprintln!("micrun-image-builder: warning: client.conf: {warning}");
    }
    output::write(&args.output, &image.archive)?;
    writeln!(io::stdout(), "{} {}", args.name, image.digest).map_err(BundleCommandError::Print)
}

fn read_text(path: &Path) -> Result<String, BundleCommandError> {
    let bytes = read(path, client_conf::MAX_LEN as u64)?;
    String::from_utf8(bytes).map_err(|_| BundleCommandError::NotText(path.to_owned()))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, BundleCommandError> {
    let error = |source| BundleCommandError::Read { path: path.to_owned(), source };
    input::open(path).and_then(|file| file::read(&file, limit)).map_err(error)
}

fn labels(args: &BundleArgs) -> Vec<(&'static str, String)> {
    let given = [
        (label::RTOS, &args.rtos),
        (label::RTOS_VERSION, &args.rtos_version),
        ("org.opencontainers.image.version", &args.version),
        ("org.opencontainers.image.title", &args.title),
        ("org.opencontainers.image.licenses", &args.licenses),
        ("org.opencontainers.image.revision", &args.revision),
        ("org.opencontainers.image.source", &args.source),
    ];
    given.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value))).collect()
}
