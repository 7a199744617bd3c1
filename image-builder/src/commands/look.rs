//! What the commands that only look have in common.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use image_builder::platform::Platform;
use image_builder::pull::{PullError, pull};
use image_builder::remote::Remote;
use image_builder::subject::{self, Subject, SubjectError};
use serde::Serialize;

use super::ctr::{ContainerdArgs, CtrError};
use super::registry::RegistryArgs;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Image archive, firmware that is not packed, or the name of an image in a registry or in containerd
    #[arg(value_name = "FILE|NAME")]
    pub(crate) subject: PathBuf,
    #[command(flatten)]
    pub(crate) how: LookArgs,
}

/// How to look at it.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Platform to take of an image for several; this machine's if absent
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Take names for those of images in the containerd of this machine, not in a registry
    #[arg(long)]
    containerd: bool,
    #[command(flatten)]
    which: ContainerdArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Why a command that looks failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("cannot read {path}: {source}")]
    Subject { path: PathBuf, source: SubjectError },
    #[error("cannot pull {name}: {source}")]
    Pull { name: String, source: Box<PullError> },
    #[error("cannot export {name}: {source}")]
    Export { name: String, source: CtrError },
    #[error("cannot read the firmware: {0}")]
    Firmware(io::Error),
    #[error("cannot keep {name} in a temporary file: {source}")]
    Temporary { name: String, source: io::Error },
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Standard output does not take it.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub(crate) struct PrintError(#[from] io::Error);

/// Opens a file; or what containerd or a registry has, if there is no file and this may be the name of an image.
pub(crate) fn open(path: &Path, how: &LookArgs) -> Result<Subject, LookError> {
    let failed = |source| LookError::Subject { path: path.to_owned(), source };
    let name = path.to_str().filter(|_| !path.exists());
    let remote = name.and_then(|text| text.parse::<Remote>().ok());
    let file = match (name, remote) {
        (Some(name), _) if how.containerd => exported(name, how)?,
        (_, Some(remote)) => pulled(&remote, how)?,
        _ => return subject::open(path, how.platform).map_err(failed),
    };
    subject::open_archive(file, how.platform).map_err(failed)
}

/// The image in a file that has no name.
fn pulled(name: &Remote, how: &LookArgs) -> Result<File, LookError> {
    let temporary = |source| LookError::Temporary { name: name.to_string(), source };
    let mut file = tempfile::tempfile().map_err(temporary)?;
    let done = pull(&how.registry.open(name), name, how.platform, &mut file);
    done.map(|_| file).map_err(|source| LookError::Pull { name: name.to_string(), source: source.into() })
}

/// The same for one in containerd, whose client wants to know where to; the name is gone when this returns.
fn exported(name: &str, how: &LookArgs) -> Result<File, LookError> {
    let temporary = |source| LookError::Temporary { name: name.to_owned(), source };
    let file = tempfile::NamedTempFile::new().map_err(temporary)?;
    let platform = how.platform.map(|platform| platform.to_string());
    let platform = platform.iter().flat_map(|platform| ["--platform", platform]).map(OsStr::new);
    let names = [file.path().as_os_str(), OsStr::new(name)];
    let words = [OsStr::new("export")].into_iter().chain(platform).chain(names);
    how.which.images(words).map_err(|source| LookError::Export { name: name.to_owned(), source })?;
    // By its name, for the client may have put a new file there.
    File::open(file.path()).map_err(temporary)
}

pub(crate) fn print(text: &str) -> Result<(), PrintError> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

pub(crate) fn print_json(report: &impl Serialize) -> Result<(), PrintError> {
    let json = serde_json::to_string_pretty(report).map_err(io::Error::from)?;
    print(&(json + "\n"))
}
