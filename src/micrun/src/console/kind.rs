//! What a path leads to.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What can be a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It can be waited for.
    Fifo,
    /// It takes and gives at once.
    File,
}

/// Looks what is at `path`. What is neither would block, or mean something else than bytes.
pub(super) fn kind(path: &Path) -> io::Result<Kind> {
    match std::fs::metadata(path)?.file_type() {
        found if found.is_fifo() => Ok(Kind::Fifo),
        found if found.is_file() => Ok(Kind::File),
        _ => Err(io::Error::other("it must be a fifo or a regular file")),
    }
}
