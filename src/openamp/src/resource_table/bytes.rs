//! Fields of a table that was copied out before: every read is checked against its end.

use core::fmt;

use super::TableError;

/// Bytes of a name in the table.
const LABEL_LEN: usize = 32;

/// The name of a carveout, device memory or trace: up to 32 bytes, not necessarily text. What follows a NUL is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label([u8; LABEL_LEN]);

impl Label {
    /// The bytes before the first NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// The `N` bytes at `at`.
pub(super) fn bytes<const N: usize>(
    table: &[u8],
    what: &'static str,
    at: usize,
) -> Result<[u8; N], TableError> {
    let bytes = at.checked_add(N).and_then(|end| table.get(at..end));
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(TableError::Outside { what, at, len: table.len() })
}

pub(super) fn word(table: &[u8], what: &'static str, at: usize) -> Result<u32, TableError> {
    bytes(table, what, at).map(u32::from_le_bytes)
}

/// A 64-bit field. Entries are aligned to four bytes only, so it may straddle.
pub(super) fn long(table: &[u8], what: &'static str, at: usize) -> Result<u64, TableError> {
    bytes(table, what, at).map(u64::from_le_bytes)
}

pub(super) fn label(table: &[u8], what: &'static str, at: usize) -> Result<Label, TableError> {
    let mut name: [u8; LABEL_LEN] = bytes(table, what, at)?;
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name[end..].fill(0);
    }
    Ok(Label(name))
}

/// Checks that `at..at + len` is inside; gives the end.
pub(super) fn within(table: &[u8], what: &'static str, at: usize, len: usize) -> Result<usize, TableError> {
    let end = at.checked_add(len).filter(|end| *end <= table.len());
    end.ok_or(TableError::Outside { what, at, len: table.len() })
}

pub(super) fn expect(
    field: &'static str,
    value: u32,
    holds: impl FnOnce(u32) -> bool,
    expected: &'static str,
) -> Result<(), TableError> {
    if holds(value) { Ok(()) } else { Err(TableError::Field { field, value, expected }) }
}
