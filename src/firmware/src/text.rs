//! For messages about texts that people wrote: how much of one is repeated, and which known word is meant.

/// Most characters of a file that a message repeats.
const EXCERPT_LEN: usize = 40;

/// The beginning of a text from a file, short enough for a message.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_LEN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Levenshtein distance: how many bytes must be put in, left out or changed to turn one text into the other.
pub fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (line, wanted) in to.bytes().enumerate() {
        let mut left = line + 1;
        let mut diagonal = line;
        let mut next = vec![left];
        for (byte, above) in from.bytes().zip(row.iter().skip(1).copied()) {
            left = (diagonal + usize::from(byte != wanted)).min(left + 1).min(above + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
