//! A layer as an EROFS file system, made by `mkfs.erofs` of erofs-utils.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{LayerError, Tree};
use crate::content::ContentError;
use crate::hashing::Hashing;

const PROGRAM: &str = "mkfs.erofs";
/// The same for every image, for a random one would not be reproducible.
const UUID: &str = "00000000-0000-0000-0000-000000000000";
/// Most characters of the program's complaint that a message repeats.
const MAX_COMPLAINT: usize = 200;

/// Why there is no file system.
#[derive(Debug, thiserror::Error)]
pub enum ErofsError {
    /// It cannot be started.
    #[error("cannot run {PROGRAM}: {0} (it comes with erofs-utils)")]
    Run(io::Error),
    /// It fails.
    #[error("{PROGRAM} failed: {0}")]
    Failed(String),
    /// The files cannot be laid out for it.
    #[error("cannot write to a temporary directory: {0}")]
    Stage(#[from] io::Error),
}

/// Writes the file system, and gives its digest, which is the DiffID.
pub(super) fn write(
    tree: &Tree<'_>,
    mtime: u64,
    out: &mut dyn Write,
    seen: impl Fn(usize),
) -> Result<String, LayerError> {
    let stage = tempfile::tempdir().map_err(ErofsError::Stage)?;
    let (root, image) = (stage.path().join("root"), stage.path().join("image"));
    lay_out(tree, &root, seen)?;
    make(&root, &image, mtime)?;
    let mut hashing = Hashing::new(out);
    let mut image = File::open(&image).map_err(ErofsError::Stage)?;
    io::copy(&mut image, &mut hashing)?;
    Ok(hashing.finish().0)
}

fn lay_out(tree: &Tree<'_>, root: &Path, seen: impl Fn(usize)) -> Result<(), LayerError> {
    directory(root).map_err(ErofsError::Stage)?;
    for (path, content) in tree {
        let path = root.join(path);
        let Some(content) = content else {
            directory(&path).map_err(ErofsError::Stage)?;
            continue;
        };
        let mut file = File::create_new(&path).map_err(ErofsError::Stage)?;
        content.copy(&mut file, &seen).map_err(|error| match error {
            ContentError::Write(error) => LayerError::Erofs(ErofsError::Stage(error)),
            error => LayerError::Content(error),
        })?;
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(0o644)).map_err(ErofsError::Stage)?;
    }
    Ok(())
}

fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn make(root: &Path, image: &Path, mtime: u64) -> Result<(), ErofsError> {
    let mut program = Command::new(PROGRAM);
    // Its random generator, clock and owners are replaced; extended attributes of the temporary directory stay out.
    program.arg(format!("-T{mtime}")).arg(format!("-U{UUID}")).args(["--all-root", "-x-1"]);
    let output = program.arg(image).arg(root).stdin(Stdio::null()).output().map_err(ErofsError::Run)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let line = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(ErofsError::Failed(line.chars().take(MAX_COMPLAINT).collect()))
}
