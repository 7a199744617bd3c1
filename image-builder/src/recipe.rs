//! Recipes: TOML files that say what an image is made of, so that it can be made again.
//!
//! All is checked when the recipe is read. What the recipe leaves out comes from the command line.

mod error;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use firmware::board::Board;
use firmware::client_conf::{ClientConf, Key, Pedestal, Problem};
use firmware::label;
use firmware::toml_file::{self, Document, LineError, Table, Value};

use crate::image_path::{ImagePath, ImagePathError};
use crate::layer::Format;
use crate::platform::{Platform, PlatformError};
use crate::reference::Reference;

pub use error::RecipeError;

/// Most bytes of a recipe.
pub const MAX_LEN: usize = 64 << 10;

/// Most further files of an image.
pub const MAX_FILES: usize = 256;

/// Keys of the file itself that become labels, each with its label.
const LABELS: [(&str, &str); 5] = [
    ("version", "org.opencontainers.image.version"),
    ("title", "org.opencontainers.image.title"),
    ("licenses", "org.opencontainers.image.licenses"),
    ("revision", "org.opencontainers.image.revision"),
    ("source", "org.opencontainers.image.source"),
];

/// The other keys of the file itself.
const KEYS: [&str; 11] = [
    "name",
    "board",
    "firmware",
    "platform",
    "layer",
    "sbom",
    "args",
    "rtos",
    "client-conf",
    "annotations",
    "files",
];

/// Keys of the table `rtos`, each with its label.
const RTOS_LABELS: [(&str, &str); 2] = [("name", label::RTOS), ("version", label::RTOS_VERSION)];

/// Where an image's bill of materials comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SbomSource {
    /// The builder writes it.
    Made,
    /// This file.
    File(PathBuf),
}

/// What a recipe says. Paths of the building machine are as the recipe has them: relative to its directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the image.
    pub name: Option<Reference>,
    /// The board that the firmware must fit.
    pub board: Option<Board>,
    /// The ELF file.
    pub firmware: Option<PathBuf>,
    /// Platforms of containerd hosts.
    pub platforms: Vec<Platform>,
    /// How the layer is packed.
    pub format: Option<Format>,
    /// The image gets a bill of materials.
    pub sbom: Option<SbomSource>,
    /// Arguments that follow the firmware in the image's entrypoint.
    pub args: Vec<String>,
    /// Values of `client.conf`.
    pub settings: Vec<(Key, String)>,
    /// Labels that have keys of their own in a recipe.
    pub labels: BTreeMap<&'static str, String>,
    /// Further labels.
    pub annotations: BTreeMap<String, String>,
    /// Further files: where in the image, and from where.
    pub files: BTreeMap<ImagePath, PathBuf>,
}

impl Recipe {
    /// Reads a recipe of at most [`MAX_LEN`] bytes.
    pub fn parse(text: &str) -> Result<Recipe, RecipeError> {
        if text.len() > MAX_LEN {
            return Err(RecipeError::TooLong(text.len()));
        }
        let document = Document::parse(text)?;
        let file = document.root();
        file.only(&[&KEYS[..], &LABELS.map(|(key, _)| key)].concat())?;
        let mut labels = labels(&file, &LABELS)?;
        if let Some(rtos) = file.table("rtos")? {
            rtos.only(&RTOS_LABELS.map(|(key, _)| key))?;
            labels.extend(self::labels(&rtos, &RTOS_LABELS)?);
        }
        Ok(Recipe {
            name: file.get("name").map(|value| parsed(&value)).transpose()?,
            board: file.get("board").map(|value| board(&value)).transpose()?,
            firmware: file.get("firmware").map(|value| path(&value)).transpose()?,
            platforms: file.get("platform").map_or(Ok(Vec::new()), |value| platforms(&value))?,
            format: file.get("layer").map(|value| parsed(&value)).transpose()?,
            sbom: file.get("sbom").map_or(Ok(None), |value| sbom(&value))?,
            args: file.get("args").map_or(Ok(Vec::new()), |value| args(&value))?,
            settings: file.table("client-conf")?.map_or(Ok(Vec::new()), |table| settings(&table))?,
            labels,
            annotations: file
                .table("annotations")?
                .map_or(Ok(BTreeMap::new()), |table| annotations(&table))?,
            files: file.table("files")?.map_or(Ok(BTreeMap::new()), |table| files(&table))?,
        })
    }
}

fn labels(
    table: &Table<'_>,
    known: &[(&str, &'static str)],
) -> Result<BTreeMap<&'static str, String>, LineError> {
    let given = known.iter().filter_map(|(key, label)| Some((*label, table.get(key)?)));
    given.map(|(label, value)| Ok((label, value.text()?.to_owned()))).collect()
}

/// A text that means a `T`.
fn parsed<T: FromStr<Err: Display>>(value: &Value<'_>) -> Result<T, LineError> {
    value.text()?.parse().map_err(|error: T::Err| value.refused(&error))
}

fn board(value: &Value<'_>) -> Result<Board, LineError> {
    Board::by_name(value.text()?).map_err(|error| value.refused(&error))
}

/// A path on the building machine.
fn path(value: &Value<'_>) -> Result<PathBuf, LineError> {
    Ok(PathBuf::from(without_nul(value, value.text()?)?))
}

/// One, or a list of some.
fn platforms(value: &Value<'_>) -> Result<Vec<Platform>, LineError> {
    let texts = value.text().map_or_else(|_| value.texts(), |one| Ok(vec![one]))?;
    if texts.is_empty() {
        return Err(value.refused(&format!("{:?} is empty, leave it out or set it", value.key())));
    }
    texts.into_iter().map(|text| text.parse().map_err(|error: PlatformError| value.refused(&error))).collect()
}

/// `true` and `false`, or the path of a document.
fn sbom(value: &Value<'_>) -> Result<Option<SbomSource>, LineError> {
    match value.boolean() {
        Ok(on) => Ok(on.then_some(SbomSource::Made)),
        Err(_) => Ok(Some(SbomSource::File(path(value)?))),
    }
}

fn args(value: &Value<'_>) -> Result<Vec<String>, LineError> {
    value.texts()?.into_iter().map(|arg| Ok(without_nul(value, arg)?.to_owned())).collect()
}

/// Neither paths nor arguments can have a zero byte.
fn without_nul<'a>(value: &Value<'_>, text: &'a str) -> Result<&'a str, LineError> {
    if text.contains('\0') {
        return Err(value.refused(&format!("{:?} has a zero byte, which it can't have", value.key())));
    }
    Ok(text)
}

fn annotations(table: &Table<'_>) -> Result<BTreeMap<String, String>, LineError> {
    table.values().map(|value| Ok((value.name().to_owned(), value.text()?.to_owned()))).collect()
}

fn files(table: &Table<'_>) -> Result<BTreeMap<ImagePath, PathBuf>, RecipeError> {
    let file = |value: Value<'_>| -> Result<_, LineError> {
        let inside = value.name().parse().map_err(|error: ImagePathError| value.refused(&error))?;
        Ok((inside, path(&value)?))
    };
    let files: BTreeMap<ImagePath, PathBuf> = table.values().map(file).collect::<Result<_, _>>()?;
    if files.len() > MAX_FILES { Err(RecipeError::Files(files.len())) } else { Ok(files) }
}

/// The keys of `client.conf` as they are written there, each value checked.
fn settings(table: &Table<'_>) -> Result<Vec<(Key, String)>, LineError> {
    // The builder alone knows where it puts the firmware, and what it read.
    let own = [Key::ClientPath, Key::Board, Key::FirmwareCrc32, Key::FirmwareSha256];
    let keys = || Key::ALL.into_iter().filter(|key| !own.contains(key));
    table.only(&keys().map(Key::as_str).collect::<Vec<_>>())?;
    let given = keys().filter_map(|key| Some((key, table.get(key.as_str())?)));
    given.map(|(key, value)| Ok((key, setting(key, &value)?))).collect()
}

fn setting(key: Key, value: &Value<'_>) -> Result<String, LineError> {
    let text = value.scalar()?;
    ClientConf::default().set(key, &text).map_err(|error: Problem| value.refused(&error))?;
    let known = Pedestal::ALL.map(Pedestal::as_str);
    if key == Key::Pedestal && !known.contains(&text.as_str()) {
        let (word, nearest) = (firmware::text::excerpt(&text), toml_file::nearest(&text, &known));
        return Err(value.refused(&format!("Pedestal {word:?} is unknown, did you mean {nearest}")));
    }
    Ok(text)
}
