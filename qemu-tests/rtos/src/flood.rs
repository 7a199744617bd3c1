//! The byte stream of `flood`: numbered lines, so that a reader sees loss, doubling and reordering at once.

use crate::buffer::Buffer;

/// Bytes of one line, its `\r\n` included.
pub const LINE_LEN: usize = 64;

const DIGITS: usize = 8;
const PATTERN: &[u8; LINE_LEN - DIGITS - 3] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.";

/// The part of the stream that is still to come.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    at: u64,
    end: u64,
}

impl Flood {
    /// A stream of `len` bytes; its last line is cut off there.
    pub fn new(len: u64) -> Flood {
        Flood { at: 0, end: len }
    }

    /// Appends as much as fits; true once the stream is at its end.
    pub fn fill<const N: usize>(&mut self, out: &mut Buffer<N>) -> bool {
        while self.at < self.end && out.room() > 0 {
            let text = line(self.at / LINE_LEN as u64);
            let rest = &text[(self.at % LINE_LEN as u64) as usize..];
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            self.at += out.extend(&rest[..rest.len().min(left)]) as u64;
        }
        self.at == self.end
    }
}

/// Line `number`, counted from 0; the number starts again after 99999999.
fn line(mut number: u64) -> [u8; LINE_LEN] {
    let mut text = [b' '; LINE_LEN];
    for digit in text[..DIGITS].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text[DIGITS + 1..LINE_LEN - 2].copy_from_slice(PATTERN);
    text[LINE_LEN - 2..].copy_from_slice(b"\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream as it comes in messages of `N` bytes.
    fn stream<const N: usize>(len: u64) -> Vec<u8> {
        let (mut flood, mut message, mut all) = (Flood::new(len), Buffer::<N>::new(), Vec::new());
        loop {
            let done = flood.fill(&mut message);
            all.extend_from_slice(message.as_slice());
            message.clear();
            if done {
                return all;
            }
        }
    }

    #[test]
    fn lines_are_numbered_and_64_bytes_long() {
        let expected = "00000000 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n\
                        00000001 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
        assert_eq!(stream::<496>(128), expected.as_bytes());
    }

    #[test]
    fn the_message_size_does_not_show_and_the_length_is_exact() {
        for len in [0, 1, 63, 64, 65, 495, 496, 497, 10_000] {
            let all = stream::<496>(len);
            assert_eq!(all.len() as u64, len);
            assert_eq!(all, stream::<7>(len));
        }
    }

    #[test]
    fn the_line_number_starts_again_after_eight_digits() {
        assert_eq!(&line(100_000_007)[..9], b"00000007 ");
    }
}
