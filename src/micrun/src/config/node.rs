//! What the node says: its files, and what containerd's own configuration has for the runtime.
//!
//! | first that is there | |
//! |---|---|
//! | `ConfigPath` in containerd's options of the runtime | that file and no other |
//! | `MICRUN_CONF_FILE` in containerd's environment | that file and no other |
//! | otherwise | the older micrun's files, then [`NODE_FILE`], which counts more |
//!
//! Other options that containerd's configuration has for the runtime count more than any file.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Level, Source, Spec, TABLE, ini, retired};
use firmware::file::FileError;
use firmware::setting::{Scalar, Setting, settings};
use firmware::text::excerpt;
use firmware::toml_file::{Document, LineError, nearest};

/// The node's file.
pub const NODE_FILE: &str = "/etc/micrun/config.toml";
/// Files of the older micrun: all of this directory, else the one file.
const OLD_DIR: &str = "/etc/mica/micrun/conf.d";
const OLD_FILE: &str = "/etc/mica/micrun/micrun.conf";
/// Environment variables of the older micrun: one file instead of all others, another directory instead of [`OLD_DIR`].
const FILE_VARIABLE: &str = "MICRUN_CONF_FILE";
const DIR_VARIABLE: &str = "MICRUN_CONF_DIR";
/// Endings of files that count in a directory.
const ENDINGS: [&str; 3] = ["ini", "conf", "toml"];
/// A file has a few KiB; this bounds what a broken one costs.
const LIMIT: u64 = 64 << 10;
/// How options without a file are named.
const OPTIONS: &str = "containerd's options of the runtime";

/// What containerd's configuration says for the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// The file that is to be the node's.
    pub path: Option<PathBuf>,
    /// Keys of that file, in TOML.
    pub body: String,
}

/// Where files of the node are looked for.
pub(super) struct Places {
    pub(super) file: Option<PathBuf>,
    pub(super) node: PathBuf,
    pub(super) old_dir: PathBuf,
    pub(super) old_file: PathBuf,
}

impl Places {
    fn of_system() -> Places {
        let variable = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Places {
            file: variable(FILE_VARIABLE),
            node: NODE_FILE.into(),
            old_dir: variable(DIR_VARIABLE).unwrap_or_else(|| OLD_DIR.into()),
            old_file: OLD_FILE.into(),
        }
    }
}

pub(super) fn read(config: &mut Config, options: &RuntimeOptions) -> Result<(), ConfigError> {
    read_from(config, options, &Places::of_system())
}

pub(super) fn read_from(
    config: &mut Config,
    options: &RuntimeOptions,
    places: &Places,
) -> Result<(), ConfigError> {
    match options.path.as_ref().or(places.file.as_ref()) {
        Some(file) => read_file(config, file)?,
        None => {
            for file in old_files(places)? {
                read_old(config, &file)?;
            }
            if exists(&places.node) {
                read_file(config, &places.node)?;
            }
        }
    }
    read_text(config, OPTIONS, toml(&options.body))
}

/// A file in TOML if it is called so, else in INI.
fn read_file(config: &mut Config, path: &Path) -> Result<(), ConfigError> {
    let text = text_of(path)?;
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    read_text(config, &path.display().to_string(), if is_toml { toml(&text) } else { ini::parse(&text) })
}

/// The older micrun reads its files as INI, whatever they are called.
fn read_old(config: &mut Config, path: &Path) -> Result<(), ConfigError> {
    read_text(config, &path.display().to_string(), ini::parse(&text_of(path)?))
}

fn toml(text: &str) -> Result<Vec<Setting>, LineError> {
    settings(&Document::parse(text)?.root())
}

fn read_text(
    config: &mut Config,
    file: &str,
    settings: Result<Vec<Setting>, LineError>,
) -> Result<(), ConfigError> {
    let failed = |error: LineError| ConfigError::File { file: file.to_owned(), problem: error.to_string() };
    apply(config, Level::Node, file, &settings.map_err(failed)?)
}

/// Takes what a file of the node or of a board sets. What is not known there is a warning: a newer file stays usable.
pub(super) fn apply(
    config: &mut Config,
    level: Level,
    file: &str,
    settings: &[Setting],
) -> Result<(), ConfigError> {
    for Setting { name, text, scalar, line } in settings {
        let place = format!("{file}: line {line}: {}", excerpt(name));
        let Some(spec) = find(level, name) else {
            config.warnings.push(warning(level, &place, name, *scalar));
            continue;
        };
        if !matches!(scalar, Scalar::Untyped) && !spec.kind.takes(*scalar) {
            return Err(ConfigError::Value { place, value: excerpt(text), right: spec.kind.right() });
        }
        config.set(spec, text, Source { level, place })?;
    }
    Ok(())
}

/// What of the table a file of this level may set.
fn known(level: Level) -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().filter(move |spec| spec.node && !(level == Level::Board && spec.is_the_nodes()))
}

fn find(level: Level, name: &str) -> Option<&'static Spec> {
    let old = old_name(name);
    known(level).find(|spec| spec.name == name || (level == Level::Node && spec.ini.contains(&old)))
}

/// The name behind a section of the older micrun's files.
fn old_name(name: &str) -> &str {
    match name.split_once('.') {
        Some((section, key)) if ["Mica", "Resource", "Xen"].contains(&section) => key,
        _ => name,
    }
}

fn warning(level: Level, place: &str, name: &str, scalar: Scalar) -> String {
    if let Some(answer) = retired::ini(old_name(name)) {
        return format!("{place} sets nothing: {answer}");
    }
    match TABLE.iter().find(|spec| spec.name == name) {
        Some(spec) if spec.is_the_nodes() => format!("{place} sets nothing: it is for the node's own file"),
        Some(_) => format!("{place} sets nothing: it is for the image or the container"),
        None => {
            let old = |spec: &Spec| if scalar == Scalar::Untyped { spec.ini } else { &[] };
            let names: Vec<&str> =
                known(level).flat_map(|spec| old(spec).iter().copied().chain([spec.name])).collect();
            format!("{place} is unknown, did you mean {}", nearest(&excerpt(name), &names))
        }
    }
}

fn exists(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file())
}

/// The older micrun's files, in the order of their names.
fn old_files(places: &Places) -> Result<Vec<PathBuf>, ConfigError> {
    let dir = &places.old_dir;
    let failed = |error: std::io::Error| ConfigError::File {
        file: dir.display().to_string(),
        problem: error.to_string(),
    };
    let counts = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        ENDINGS.contains(&ending) && exists(path)
    };
    let mut files = match firmware::file::listed(dir) {
        Ok(files) => files,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    files.retain(counts);
    if files.is_empty() && exists(&places.old_file) {
        files.push(places.old_file.clone());
    }
    Ok(files)
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    let read = File::open(path).map_err(FileError::Io).and_then(|file| firmware::file::read(&file, LIMIT));
    let failed = |problem: String| ConfigError::File { file: path.display().to_string(), problem };
    let bytes = read.map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not utf-8".to_owned()))
}
