//! Writes a file whole or not at all: a temporary file beside it, synced, then renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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

/// A file that is being written. Until [`Output::commit`] the old one is untouched; without it nothing is left.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl Output {
    /// Begins to replace the file at `path`, if there is one.
    pub fn create(path: &Path) -> Result<Output, OutputError> {
        if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(OutputError::NotRegular(path.to_owned()));
        }
        let failed = |source| OutputError::Io { path: path.to_owned(), source };
        // Asked first, because the error of a temporary file names that, which means nothing to anybody.
        fs::metadata(directory(path)).map_err(failed)?;
        let temporary = tempfile::Builder::new()
            .prefix(".micrun-image-builder-")
            // As for any new file: the umask decides what is left of it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory(path))
            .map_err(failed)?;
        Ok(Output { path: path.to_owned(), temporary })
    }

    /// What is to be written to.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Brings it to the disk, under its name.
    pub fn commit(self) -> Result<(), OutputError> {
        let Output { path, temporary } = self;
        let done = temporary.as_file().sync_all();
        let done = done.and_then(|()| temporary.persist(&path).map_err(|error| error.error));
        let done = done.and_then(|_| File::open(directory(&path))?.sync_all());
        done.map_err(|source| OutputError::Io { path, source })
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Writes `bytes` to `path`, replacing a file that is there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let mut output = Output::create(path)?;
    let written = output.file().write_all(bytes);
    written.map_err(|source| OutputError::Io { path: path.to_owned(), source })?;
    output.commit()
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
