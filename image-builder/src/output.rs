//! Writes a file whole or not at all: a temporary file beside it, synced, then renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something else has that path; renaming over it would destroy a device or a link.
    #[error("output {0} exists and is not a regular file")]
    NotRegular(PathBuf),
    /// The operating system refused.
    #[error("cannot write output {path}: {source}")]
    Io {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes `bytes` to `path`, replacing a file that is there. On error the old file is untouched and no
/// temporary file is left.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(OutputError::NotRegular(path.to_owned())),
        _ => replace(path, bytes).map_err(|source| OutputError::Io { path: path.to_owned(), source }),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".micrun-image-builder-")
        // As for any new file: the umask decides what is left of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    temporary.as_file_mut().write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_and_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.tar");
        for bytes in [b"first version".as_slice(), b"second"] {
            write(&path, bytes).expect("written");
            assert_eq!(fs::read(&path).expect("readable"), bytes);
        }
        assert_eq!(names(directory.path()), ["out.tar"]);
    }

    #[test]
    fn nothing_but_a_file_is_replaced_and_nothing_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).expect("created");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).expect("linked");
        for path in [&inner, &link] {
            let error = write(path, b"x").expect_err("not a file").to_string();
            assert_eq!(error, format!("output {} exists and is not a regular file", path.display()));
        }
        assert_eq!(names(directory.path()), ["inner", "link"]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = write(Path::new("/nonexistent/out.tar"), b"x").expect_err("no directory").to_string();
        assert!(error.starts_with("cannot write output /nonexistent/out.tar: No such file"), "{error}");
    }
}
