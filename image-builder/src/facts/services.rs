//! Names of RPMsg services, found as text: firmware announces them only when it runs.

use std::collections::BTreeSet;

/// What all names that MICA and OpenAMP use begin with.
const PREFIX: &str = "rpmsg-";
/// Longest name, without its NUL.
const MAX_NAME: usize = 31;
/// More names than any firmware has.
const MAX_NAMES: usize = 32;
/// As much of a word as is kept: that many names.
const MAX_WORD: usize = MAX_NAMES * MAX_NAME;

/// The names that were found so far, at most [`MAX_NAMES`]; and the word that is being read, if it may be one.
///
/// A word is one of a name's characters, as long as there are such. Compilers put texts without a NUL one right behind the
/// other, so a word may be several names.
#[derive(Debug, Default)]
pub(super) struct Names {
    found: BTreeSet<String>,
    word: Vec<u8>,
    /// The word does not begin as a name does, and what is left of it means nothing.
    passed: bool,
}

impl Names {
    /// Looks at the bytes that follow.
    pub(super) fn look(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let end = piece.iter().position(|byte| !in_name(*byte));
            let (run, rest) = piece.split_at(end.unwrap_or(piece.len()));
            self.word(run);
            if end.is_some() {
                self.end();
            }
            piece = rest.get(1..).unwrap_or_default();
        }
    }

    fn word(&mut self, run: &[u8]) {
        if self.passed {
            return;
        }
        let room = MAX_WORD.saturating_sub(self.word.len()).min(run.len());
        self.word.extend_from_slice(run.get(..room).unwrap_or_default());
        let common = self.word.len().min(PREFIX.len());
        self.passed = self.word.get(..common) != PREFIX.as_bytes().get(..common);
    }

    /// What follows is not a part of the word.
    pub(super) fn end(&mut self) {
        if !self.passed && self.word.starts_with(PREFIX.as_bytes()) {
            let word: String = self.word.iter().map(|byte| char::from(*byte)).collect();
            let fits = |rest: &&str| (1..=MAX_NAME - PREFIX.len()).contains(&rest.len());
            // The last name of a word that was cut may be a part of one.
            let whole = if word.len() < MAX_WORD { word.len() } else { word.rfind(PREFIX).unwrap_or(0) };
            for rest in word.get(..whole).unwrap_or_default().split(PREFIX).filter(fits) {
                if self.found.len() < MAX_NAMES {
                    self.found.insert(format!("{PREFIX}{rest}"));
                }
            }
        }
        self.word.clear();
        self.passed = false;
    }

    /// The names, sorted.
    pub(super) fn finish(self) -> Vec<String> {
        self.found.into_iter().collect()
    }
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in these segments, each looked at in pieces of `len` bytes.
    fn named(segments: &[&[u8]], len: usize) -> Vec<String> {
        let mut names = Names::default();
        for segment in segments {
            segment.chunks(len).for_each(|piece| names.look(piece));
            names.end();
        }
        names.finish()
    }

    #[test]
    fn whole_names_are_found_once() {
        let long = format!("rpmsg-{}", "x".repeat(26));
        let segments: [&[u8]; 3] =
            [b"rpmsg-tty\0no_rpmsg-tty2 rpmsg-", b"\x01rpmsg-umt rpmsg-tty\0", long.as_bytes()];
        let together: [&[u8]; 1] = [b"at rpmsg-rpcrpmsg-umtrpmsg-tty0\0"];
        for len in [1, 2, 5, 6, 7, 1000] {
            assert_eq!(named(&segments, len), ["rpmsg-tty", "rpmsg-umt"], "{len}");
            assert_eq!(named(&together, len), ["rpmsg-rpc", "rpmsg-tty0", "rpmsg-umt"], "{len}");
        }
    }

    #[test]
    fn a_flood_of_names_is_cut() {
        let many: String = (0..1000).map(|number| format!("rpmsg-{number} ")).collect();
        assert_eq!(named(&[many.as_bytes()], 100).len(), MAX_NAMES);
        let endless = "rpmsg-x".repeat(100_000);
        assert_eq!(named(&[endless.as_bytes()], 100), ["rpmsg-x"]);
    }
}
