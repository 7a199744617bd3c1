//! `bundle`: reads the files and the environment, makes the image, writes it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use firmware::client_conf;
use firmware::file::{self, FileError, MAX_FIRMWARE_LEN};
use firmware::label;
use image_builder::bundle::{BundleError, Request, bundle};
use image_builder::content::Content;
use image_builder::epoch::{Epoch, EpochError};
use image_builder::image_path::ImagePath;
use image_builder::input;
use image_builder::output::{Output, OutputError};
use image_builder::platform::{Platform, PlatformError};
use image_builder::progress::Progress;
use image_builder::recipe::{self, Recipe, RecipeError, SbomSource};
use image_builder::sbom::{self, Sbom, SbomError};
use serde_json::json;

use super::look::{PrintError, print, print_json};
use crate::cli::BundleArgs;

const TIME: &str = "SOURCE_DATE_EPOCH";

/// Most bytes of all further files of an image.
const MAX_FILES_LEN: u64 = 128 << 20;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleCommandError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: FileError },
    #[error("{0}: the file is not text in UTF-8")]
    NotText(PathBuf),
    #[error("{path}: {source}")]
    Recipe { path: PathBuf, source: RecipeError },
    #[error("{path}: {source}")]
    Sbom { path: PathBuf, source: SbomError },
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
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Runs the command; on success prints name and digest of the image.
pub(crate) fn run(args: &BundleArgs) -> Result<(), BundleCommandError> {
    let time = env::var_os(TIME).map(|text| Epoch::parse(&text.to_string_lossy())).transpose()?;
    let recipe = recipe(args)?;
    let missing = BundleCommandError::Missing;
    let name = recipe.name.as_ref().ok_or(missing("name"))?;
    let board = recipe.board.as_ref().ok_or(missing("board"))?;
    let firmware = open(recipe.firmware.as_deref().ok_or(missing("firmware"))?, MAX_FIRMWARE_LEN)?;
    let client_conf =
        args.client_conf.as_deref().map(|path| read_text(path, client_conf::MAX_LEN)).transpose()?;
    let files = files(&recipe.files)?;
    let sbom = recipe.sbom.as_ref().map(sbom).transpose()?;
    // An annotation that the command line gives twice stays twice, and is refused.
    let annotations: Vec<_> = recipe.annotations.into_iter().chain(args.annotation.clone()).collect();
    let request = Request {
        firmware: &firmware,
        client_conf: client_conf.as_deref(),
        settings: &recipe.settings,
        board,
        name,
        platforms: &platforms(recipe.platforms)?,
        format: recipe.format.unwrap_or_default(),
        sbom: sbom.as_ref(),
        time,
        args: &recipe.args,
        files: &files,
        labels: &Vec::from_iter(recipe.labels),
        annotations: &annotations,
    };
    let mut output = Output::create(&args.output)?;
    let image = bundle(&request, output.file())?;
    let warnings: Vec<String> =
        image.warnings.iter().map(|warning| format!("client.conf: {warning}")).collect();
    for warning in &warnings {
        eprintln!("micrun-image-builder: warning: {warning}");
    }
    output.commit()?;
    let (name, digest) = (name.as_str(), &image.digest);
    let printed = if args.json {
        print_json(&json!({ "name": name, "digest": digest, "warnings": warnings }))
    } else {
        print(&format!("{name} {digest}\n"))
    };
    Ok(printed?)
}

/// Those that were asked for, each once, or this machine's.
fn platforms(mut wanted: Vec<Platform>) -> Result<Vec<Platform>, PlatformError> {
    if wanted.is_empty() {
        wanted.push(Platform::host()?);
    }
    wanted.sort_unstable_by_key(|platform| platform.architecture());
    wanted.dedup();
    Ok(wanted)
}

fn sbom(source: &SbomSource) -> Result<Sbom, BundleCommandError> {
    let SbomSource::File(path) = source else { return Ok(Sbom::Made) };
    let wrong = |source| BundleCommandError::Sbom { path: path.clone(), source };
    Sbom::given(read(path, sbom::MAX_LEN)?).map_err(wrong)
}

/// The recipe of the image: what the command line says, and for the rest the recipe that it names.
fn recipe(args: &BundleArgs) -> Result<Recipe, BundleCommandError> {
    let mut recipe = args.recipe.as_deref().map(read_recipe).transpose()?.unwrap_or_default();
    recipe.name = args.name.clone().or(recipe.name);
    recipe.board = args.board.clone().or(recipe.board);
    recipe.firmware = args.firmware.clone().or(recipe.firmware);
    if !args.platform.is_empty() {
        recipe.platforms.clone_from(&args.platform);
    }
    recipe.format = args.layer.or(recipe.format);
    let given = args.sbom_file.clone().map(SbomSource::File).or(args.sbom.then_some(SbomSource::Made));
    recipe.sbom = given.or(recipe.sbom);
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
    let sbom = recipe.sbom.iter_mut().filter_map(|sbom| match sbom {
        SbomSource::File(path) => Some(path),
        SbomSource::Made => None,
    });
    for file in recipe.firmware.iter_mut().chain(recipe.files.values_mut()).chain(sbom) {
        *file = directory.join(&file);
    }
    Ok(recipe)
}

/// Opens the further files of the image, together at most [`MAX_FILES_LEN`] bytes.
fn files(wanted: &BTreeMap<ImagePath, PathBuf>) -> Result<Vec<(ImagePath, Content)>, BundleCommandError> {
    let mut left = MAX_FILES_LEN;
    let mut files = Vec::new();
    for (inside, path) in wanted {
        let content = open(path, left)?;
        left = left.saturating_sub(content.len());
        files.push((inside.clone(), content));
    }
    Ok(files)
}

/// Opens a file and takes its checksums.
fn open(path: &Path, limit: u64) -> Result<Content, BundleCommandError> {
    let error = |source| BundleCommandError::Read { path: path.to_owned(), source };
    let len = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let progress = Progress::new("reading", len);
    Content::open(path, limit, |count| progress.add(count)).map_err(error)
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
