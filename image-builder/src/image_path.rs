//! Where a further file may be in an image: at a plain absolute path that hides nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Most bytes of a path: what the name field of a tar header holds.
const MAX_LEN: usize = 100;

/// A path such as `/etc/app/ca.pem`: absolute, without `.`, `..`, empty parts and control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImagePath(String);

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImagePathError {
    /// Not of that form.
    #[error(
        "path {0:?} must be absolute, without parts that are empty or . or .., and without control characters"
    )]
    Form(String),
    /// Longer than a tar header holds.
    #[error("path is {0} bytes long, at most {MAX_LEN} are allowed")]
    TooLong(usize),
}

/// Two files of an image can't both be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClashError {
    /// The same path twice.
    #[error("file {0} is written by the builder or given twice")]
    Twice(String),
    /// A file would have to be a directory.
    #[error("file {inner} would lie below {outer}, which is a file")]
    Below {
        /// The file below.
        inner: String,
        /// The file above.
        outer: String,
    },
}

impl ImagePath {
    /// The path, with its slash at the beginning.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImagePath {
    type Err = ImagePathError;

    fn from_str(text: &str) -> Result<ImagePath, ImagePathError> {
        if text.len() > MAX_LEN {
            return Err(ImagePathError::TooLong(text.len()));
        }
        let is_plain = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_valid = text.strip_prefix('/').is_some_and(is_plain) && !text.chars().any(char::is_control);
        if is_valid { Ok(ImagePath(text.to_owned())) } else { Err(ImagePathError::Form(text.to_owned())) }
    }
}

/// Proves that absolute paths of files differ and that none is a directory of another.
pub fn apart<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<(), ClashError> {
    let mut files = BTreeSet::new();
    for path in paths {
        if !files.insert(path) {
            return Err(ClashError::Twice(path.to_owned()));
        }
    }
    for inner in &files {
        let mut directories = inner.match_indices('/').filter_map(|(slash, _)| inner.get(..slash));
        if let Some(outer) = directories.find(|directory| files.contains(directory)) {
            return Err(ClashError::Below { inner: (*inner).to_owned(), outer: outer.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_absolute_paths_are_accepted() {
        for text in ["/a", "/etc/app/ca.pem", "/.hidden/...", &format!("/{}", "a".repeat(99))] {
            assert_eq!(text.parse::<ImagePath>().expect("valid").as_str(), text);
        }
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "/", "a", "/a/", "//a", "/a/../b", "/./a", "/a\nb", "/a\0"] {
            assert_eq!(text.parse::<ImagePath>(), Err(ImagePathError::Form(text.to_owned())));
        }
        let long = format!("/{}", "a".repeat(100));
        assert_eq!(long.parse::<ImagePath>(), Err(ImagePathError::TooLong(101)));
    }

    #[test]
    fn files_hide_nothing() {
        assert_eq!(apart(["/a/b", "/a/c", "/ab", "/b"]), Ok(()));
        let text = |paths: [&str; 2]| apart(paths).expect_err("a clash").to_string();
        assert_eq!(text(["/a", "/a"]), "file /a is written by the builder or given twice");
        assert_eq!(text(["/a/b/c", "/a"]), "file /a/b/c would lie below /a, which is a file");
    }
}
