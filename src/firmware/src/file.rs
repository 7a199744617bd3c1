//! Reads files of bounded length, so that a device, a pipe or a huge file cannot fill the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest firmware file: several times the memory that boards give to an RTOS, for debug sections.
pub const MAX_FIRMWARE_LEN: u64 = 256 << 20;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a device, a pipe or a socket.
    #[error("it is not a regular file")]
    NotRegular,
    /// Longer than the caller allows.
    #[error("it is longer than {0} bytes, the most that is allowed")]
    TooLong(u64),
}

/// Reads an opened regular file from its present position; at most `limit` bytes.
pub fn read(file: &File, limit: u64) -> Result<Vec<u8>, FileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    if metadata.len() > limit {
        return Err(FileError::TooLong(limit));
    }
    let mut bytes = Vec::new();
    // The length is judged by what was read, too: the file may grow meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(FileError::TooLong(limit)) } else { Ok(bytes) }
}

/// The paths of a directory's entries, in the order of their names.
pub fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in directory.read_dir()? {
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        paths.insert(paths.partition_point(|earlier| *earlier < path), path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut writer = tempfile::NamedTempFile::new().expect("a temporary file");
        writer.write_all(bytes).expect("write");
        writer.reopen().expect("reopen")
    }

    #[test]
    fn a_file_at_the_limit_is_read() {
        assert_eq!(read(&file(b"12345"), 5).expect("five bytes"), b"12345");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let error = read(&file(b"123456"), 5).expect_err("six bytes");
        assert_eq!(error.to_string(), "it is longer than 5 bytes, the most that is allowed");
    }

    #[test]
    fn a_directory_and_a_device_are_refused() {
        for path in ["/", "/dev/zero"] {
            let file = File::open(path).expect("open");
            assert!(matches!(read(&file, 5), Err(FileError::NotRegular)), "{path}");
        }
    }
}
