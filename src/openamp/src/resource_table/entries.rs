//! Walks a table entry by entry: each lies inside the table, on a multiple of four, and shares no byte with another.

use super::bytes::{expect, word};
use super::{Entry, HEADER_LEN, MAX_ENTRIES, MAX_LEN, TableError};

/// The entries of a table, checked as they come. Ends at the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    table: &'a [u8],
    next: usize,
    count: usize,
    /// What the header and the entries before `next` cover.
    taken: [(usize, usize); 1 + MAX_ENTRIES as usize],
}

/// Checks the header of a table and gives its entries. `table` is a private copy: nobody else may write to it.
pub fn entries(table: &[u8]) -> Result<Entries<'_>, TableError> {
    if table.len() > MAX_LEN {
        return Err(TableError::TooLong(table.len()));
    }
    expect("version", word(table, "header", 0)?, |version| version == 1, "only version 1 exists")?;
    let count = word(table, "header", 4)?;
    expect("entry count", count, |count| count <= MAX_ENTRIES, "at most 32 are allowed")?;
    for (field, at) in [("reserved[0]", 8), ("reserved[1]", 12)] {
        expect(field, word(table, "header", at)?, |value| value == 0, "it must be 0 in the file")?;
    }
    let count = count as usize;
    let mut taken = [(0, 0); 1 + MAX_ENTRIES as usize];
    taken[0] = (0, HEADER_LEN + 4 * count);
    Ok(Entries { table, next: 0, count, taken })
}

impl Entries<'_> {
    fn read(&mut self) -> Result<(usize, Entry), TableError> {
        let at = word(self.table, "entry offset", HEADER_LEN + 4 * self.next)? as usize;
        expect("entry offset", at as u32, |at| at % 4 == 0, "it must be a multiple of 4")?;
        let (entry, end) = Entry::read(self.table, at)?;
        let before = &self.taken[..=self.next];
        if let Some((other, _)) = before.iter().find(|(from, to)| at < *to && *from < end) {
            return Err(TableError::Overlap { at, other: *other });
        }
        self.next += 1;
        self.taken[self.next] = (at, end);
        Ok((at, entry))
    }
}

impl Iterator for Entries<'_> {
    /// Offset of the entry in the table, and the entry.
    type Item = Result<(usize, Entry), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.count = self.next;
        }
        Some(entry)
    }
}
