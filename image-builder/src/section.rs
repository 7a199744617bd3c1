//! A part of a file that is read by several readers at once, each with a place of its own in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are in memory at once.
const PIECE: usize = 64 << 10;

/// Bytes `start..start + len` of a file. That it has them shows when they are read.
#[derive(Clone, Debug)]
pub struct Section {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl Section {
    /// The first `len` bytes of a file.
    pub fn of(file: impl Into<Arc<File>>, len: u64) -> Section {
        Section { file: file.into(), start: 0, len }
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it, cut to where it ends.
    pub fn part(&self, range: Range<u64>) -> Section {
        let start = range.start.min(self.len);
        let len = range.end.clamp(start, self.len) - start;
        Section { file: Arc::clone(&self.file), start: self.start.saturating_add(start), len }
    }

    /// A reader from its start.
    pub fn reader(&self) -> SectionReader {
        SectionReader { section: self.clone(), at: 0 }
    }

    /// The bytes from `at` on that fit into `bytes`: all that it is long, or an error.
    pub fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(bytes.len() as u64).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.read_exact_at(bytes, self.start.saturating_add(at))
    }
}

/// Reads a [`Section`].
#[derive(Debug)]
pub struct SectionReader {
    section: Section,
    at: u64,
}

impl Read for SectionReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Section { file, start, len } = &self.section;
        let left = len.saturating_sub(self.at);
        let most = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let count = file.read_at(bytes.get_mut(..most).unwrap_or_default(), start.saturating_add(self.at))?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SectionReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.section.len.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Calls `with` with all that `reader` gives, one piece after the other; `failed` makes an error of one of reading.
pub fn pieces<E>(
    mut reader: impl Read,
    failed: impl Fn(io::Error) -> E,
    mut with: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => with(piece.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// A reader that tells how far it is.
#[derive(Debug)]
pub struct Seen<R, F> {
    reader: R,
    seen: F,
}

impl<R: Read, F: FnMut(usize)> Seen<R, F> {
    /// Tells `seen` of each piece that comes from `reader`.
    pub fn new(reader: R, seen: F) -> Seen<R, F> {
        Seen { reader, seen }
    }
}

impl<R: Read, F: FnMut(usize)> Read for Seen<R, F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(bytes)?;
        (self.seen)(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn section(bytes: &[u8], len: u64) -> Section {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        Section::of(file, len)
    }

    fn text(section: &Section) -> io::Result<String> {
        let mut text = String::new();
        section.reader().read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn parts_end_where_the_whole_ends() {
        let all = section(b"0123456789", 8);
        assert_eq!(text(&all).expect("read"), "01234567");
        let part = all.part(2..6);
        assert_eq!(
            (text(&part).expect("read").as_str(), text(&part.part(1..9)).expect("read").as_str()),
            ("2345", "345")
        );
        assert!(all.part(9..u64::MAX).is_empty());
        let mut two = [0; 2];
        part.read_exact_at(&mut two, 2).expect("read");
        assert_eq!(&two, b"45");
        assert!(part.read_exact_at(&mut two, 3).is_err());
        assert!(part.read_exact_at(&mut two, u64::MAX).is_err());
    }

    #[test]
    fn readers_have_places_of_their_own() {
        let all = section(b"abcdef", 6);
        let (mut one, mut other) = (all.reader(), all.reader());
        one.seek(SeekFrom::End(-2)).expect("sought");
        let mut byte = [0];
        one.read_exact(&mut byte).expect("read");
        assert_eq!(&byte, b"e");
        other.read_exact(&mut byte).expect("read");
        assert_eq!(&byte, b"a");
        assert!(one.seek(SeekFrom::Current(-9)).is_err());
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        assert!(text(&section(b"abc", 4)).is_err());
    }
}
