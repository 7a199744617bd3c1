//! `bundle`: reads the files and the environment, makes the image, writes it.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use firmware::client_conf;
use firmware::file::{self, FileError, MAX_FIRMWARE_LEN};
use firmware::label;
use image_builder::bundle::{BundleError, Request, bundle};
use image_builder::epoch::{Epoch, EpochError};
use image_builder::image_path::ImagePath;
use image_builder::input;
use image_builder::output::{self, OutputError};
use image_builder::platform::{Platform, PlatformError};
use image_builder::recipe::{self, Recipe, RecipeError};

use crate::cli::BundleArgs;

const TIME: &str = "SOURCE_DATE_EPOCH";

/// Most bytes of all further files of an image: as much as the firmware may have.
const MAX_FILES_LEN: u64 = MAX_FIRMWARE_LEN;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleCommandError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: FileError },
    #[error("{0}: the file is not text in UTF-8")]
    NotText(PathBuf),
    #[error("{path}: {source}")]
    Recipe { path: PathBuf, source: RecipeError },
    #[error("{0} is missing, set it in the recipe or give --{0}")]
    Missing(&'static str),
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
    let recipe = recipe(args)?;
    let missing = BundleCommandError::Missing;
    let name = recipe.name.as_ref().ok_or(missing("name"))?;
    let board = recipe.board.as_ref().ok_or(missing("board"))?;
    let firmware = read(recipe.firmware.as_deref().ok_or(missing("firmware"))?, MAX_FIRMWARE_LEN)?;
    let client_conf =
        args.client_conf.as_deref().map(|path| read_text(path, client_conf::MAX_LEN)).transpose()?;
    let files = files(&recipe.files)?;
    // An annotation that the command line gives twice stays twice, and is refused.
    let annotations: Vec<_> = recipe.annotations.into_iter().chain(args.annotation.clone()).collect();
    let image = bundle(&Request {
        firmware: &firmware,
        client_conf: client_conf.as_deref(),
        settings: &recipe.settings,
        board,
        name,
        platform: recipe.platform.map_or_else(Platform::host, Ok)?,
        time,
        args: &recipe.args,
        files: &files,
        labels: &Vec::from_iter(recipe.labels),
        annotations: &annotations,
    })?;
    for warning in &image.warnings {
        eprintln!("micrun-image-builder: warning: client.conf: {warning}");
    }
    output::write(&args.output, &image.archive)?;
    writeln!(io::stdout(), "{name} {}", image.digest).map_err(BundleCommandError::Print)
}

/// The recipe of the image: what the command line says, and for the rest the recipe that it names.
fn recipe(args: &BundleArgs) -> Result<Recipe, BundleCommandError> {
    let mut recipe = args.recipe.as_deref().map(read_recipe).transpose()?.unwrap_or_default();
    recipe.name = args.name.clone().or(recipe.name);
    recipe.board = args.board.clone().or(recipe.board);
    recipe.firmware = args.firmware.clone().or(recipe.firmware);
    recipe.platform = args.platform.or(recipe.platform);
    recipe.labels.extend(labels(args));
    recipe.annotations.retain(|key, _| args.annotation.iter().all(|(given, _)| given != key));
    if args.client_conf.is_some() {
        recipe.settings.clear();
    }
    Ok(recipe)
}

/// Reads a recipe. Its paths are relative to its directory.
fn read_recipe(path: &Path) -> Result<Recipe, BundleCommandError> {
    let error = |source| BundleCommandError::Recipe { path: path.to_owned(), source };
    let mut recipe = Recipe::parse(&read_text(path, recipe::MAX_LEN)?).map_err(error)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    for file in recipe.firmware.iter_mut().chain(recipe.files.values_mut()) {
        *file = directory.join(&file);
    }
    Ok(recipe)
}

/// Reads the further files of the image, together at most [`MAX_FILES_LEN`] bytes.
fn files(wanted: &BTreeMap<ImagePath, PathBuf>) -> Result<Vec<(ImagePath, Vec<u8>)>, BundleCommandError> {
    let mut left = MAX_FILES_LEN;
    let mut files = Vec::new();
    for (inside, path) in wanted {
        let bytes = read(path, left)?;
        left = left.saturating_sub(bytes.len() as u64);
        files.push((inside.clone(), bytes));
    }
    Ok(files)
}

fn read_text(path: &Path, limit: usize) -> Result<String, BundleCommandError> {
    let bytes = read(path, limit as u64)?;
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
