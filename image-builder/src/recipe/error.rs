//! What can be wrong with a recipe.

use firmware::toml_file::LineError;

use super::{MAX_FILES, MAX_LEN};

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
    #[error(transparent)]
    Line(#[from] LineError),
}
