//! Why a resource table is refused.

use super::MAX_LEN;

/// Why a table is refused. Offsets are bytes from the start of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Longer than [`MAX_LEN`].
    #[error("resource table is {0} bytes long, at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// Something lies outside the table.
    #[error("resource table: {what} at offset {at:#x} does not fit the table of {len:#x} bytes")]
    Outside {
        /// What was looked for.
        what: &'static str,
        /// Where.
        at: usize,
        /// Length of the table.
        len: usize,
    },
    /// Two entries share bytes, or an entry and the header (which is at 0).
    #[error("resource table: entry at offset {at:#x} overlaps what begins at {other:#x}")]
    Overlap {
        /// Where the entry begins.
        at: usize,
        /// Where the other one begins.
        other: usize,
    },
    /// A field has a value that the host cannot work with.
    #[error("resource table: {field} is {value:#x}, {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// What would be right.
        expected: &'static str,
    },
    /// No vdev entry: there is nothing to talk over.
    #[error("resource table has no rpmsg vdev entry (type 3)")]
    NoVdev,
}
