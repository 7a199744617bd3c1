//! Names of RPMsg services, found as text: firmware announces them only when it runs.

use std::collections::BTreeSet;

/// What all names that MICA and OpenAMP use begin with.
const PREFIX: &str = "rpmsg-";
/// Longest name, without its NUL.
const MAX_NAME: usize = 31;
/// More names than any firmware has.
const MAX_NAMES: usize = 32;
/// A word of that many names.
const MAX_WORD: usize = MAX_NAMES * MAX_NAME;

/// Names in these pieces of a firmware, sorted; at most [`MAX_NAMES`].
pub(super) fn named<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for piece in pieces {
        names.extend(in_piece(piece).take(MAX_NAMES));
    }
    names.into_iter().take(MAX_NAMES).collect()
}

fn in_piece(piece: &[u8]) -> impl Iterator<Item = String> + '_ {
    let starts = piece.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX.as_bytes());
    starts.flat_map(|(at, _)| names_at(piece, at))
}

/// The word at `at`, if it is a whole one of a name's characters, taken apart: compilers put texts without a NUL one right
/// behind the other.
fn names_at(piece: &[u8], at: usize) -> Vec<String> {
    let before = at.checked_sub(1).and_then(|before| piece.get(before));
    if before.is_some_and(|byte| in_name(*byte)) {
        return Vec::new();
    }
    let bytes = piece.get(at..).unwrap_or_default().iter().take(MAX_WORD).take_while(|byte| in_name(**byte));
    let word: String = bytes.map(|byte| char::from(*byte)).collect();
    let fits = |rest: &&str| (1..=MAX_NAME - PREFIX.len()).contains(&rest.len());
    word.split(PREFIX).filter(fits).map(|rest| format!("{PREFIX}{rest}")).collect()
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_found_once() {
        let long = format!("rpmsg-{}", "x".repeat(26));
        let pieces: [&[u8]; 3] =
            [b"rpmsg-tty\0no_rpmsg-tty2 rpmsg-", b"\x01rpmsg-umt rpmsg-tty\0", long.as_bytes()];
        assert_eq!(named(pieces.into_iter()), ["rpmsg-tty", "rpmsg-umt"]);
        let together: &[u8] = b"at rpmsg-rpcrpmsg-umtrpmsg-tty0\0";
        assert_eq!(named([together].into_iter()), ["rpmsg-rpc", "rpmsg-tty0", "rpmsg-umt"]);
    }

    #[test]
    fn a_flood_of_names_is_cut() {
        let many: String = (0..1000).map(|number| format!("rpmsg-{number} ")).collect();
        assert_eq!(named([many.as_bytes()].into_iter()).len(), MAX_NAMES);
    }
}
