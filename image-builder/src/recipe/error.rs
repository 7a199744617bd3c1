//! What can be wrong with a recipe.

use firmware::board::BoardError;
use firmware::client_conf::Problem;

use super::{MAX_FILES, MAX_LEN};
use crate::image_path::ImagePathError;
use crate::platform::PlatformError;
use crate::reference::ReferenceError;

/// A recipe is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Longer than [`MAX_LEN`].
    #[error("{0} bytes long, at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// More files than [`MAX_FILES`].
    #[error("files has {0} entries, at most {MAX_FILES} are allowed")]
    Files(usize),
    /// Something is wrong with a line.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: RecipeProblem,
    },
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeProblem {
    /// Not TOML.
    #[error("not valid toml: {0}")]
    Toml(String),
    /// A key that means nothing.
    #[error("key {key:?} is unknown, did you mean {nearest}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key most like it.
        nearest: String,
    },
    /// A value of another type.
    #[error("{key:?} is of type {found}, it must be {wanted}")]
    Type {
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
    /// An empty text.
    #[error("{0:?} is empty, leave it out or set it")]
    Empty(String),
    /// A zero byte where the system can't take one.
    #[error("{0:?} has a zero byte, which it can't have")]
    Nul(String),
    /// A pedestal that MICA would take for bare metal.
    #[error("Pedestal {word:?} is unknown, did you mean {nearest}")]
    Pedestal {
        /// The word.
        word: String,
        /// The pedestal most like it.
        nearest: &'static str,
    },
    /// Not the name of an image.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// Not a board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// Not a platform.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// Not a value that `client.conf` can have.
    #[error(transparent)]
    Conf(#[from] Problem),
    /// Not a path in an image.
    #[error(transparent)]
    Path(#[from] ImagePathError),
}
