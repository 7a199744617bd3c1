//! Opens the files that a user names, whoever made them.

use std::fs::{self, File};
use std::path::Path;

use firmware::file::FileError;

/// Opens a regular file; anything else is refused, a pipe without waiting for somebody to write to it.
pub fn open(path: &Path) -> Result<File, FileError> {
    if !fs::metadata(path)?.is_file() {
        return Err(FileError::NotRegular);
    }
    Ok(File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a");
        fs::write(&file, "a").expect("written");
        assert!(open(&file).is_ok());
        for path in [directory.path(), Path::new("/dev/zero")] {
            assert!(matches!(open(path), Err(FileError::NotRegular)), "{}", path.display());
        }
        assert!(matches!(open(&directory.path().join("none")), Err(FileError::Io(_))));
    }
}
