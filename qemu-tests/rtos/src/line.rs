//! The line editor: what typed bytes do to the line, and what the terminal is shown for each.

use crate::buffer::Buffer;

/// Longest line in bytes; more are refused with a bell.
pub const LINE_LEN: usize = 256;

const CTRL_C: u8 = 0x03;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// What a byte did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// The line goes on.
    Editing,
    /// The line was given up and is empty.
    Cancelled,
    /// The line is complete; [`Line::clear`] it after use.
    Ended,
}

/// The line being typed.
#[derive(Debug, Default)]
pub struct Line {
    text: Buffer<LINE_LEN>,
    after_cr: bool,
}

impl Line {
    /// What was typed so far.
    pub fn text(&self) -> &[u8] {
        self.text.as_slice()
    }

    /// Starts the next line.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// True, once, if `byte` is the second half of the CR LF that ended the last line: it means nothing then.
    pub fn completes_crlf(&mut self, byte: u8) -> bool {
        core::mem::take(&mut self.after_cr) && byte == b'\n'
    }

    /// Takes one byte; `echo` gets what the terminal is to show, at most four bytes.
    pub fn press<const N: usize>(&mut self, byte: u8, echo: &mut Buffer<N>) -> Pressed {
        match byte {
            b'\r' | b'\n' => {
                self.after_cr = byte == b'\r';
                echo.extend(b"\r\n");
                return Pressed::Ended;
            }
            CTRL_C => {
                self.clear();
                echo.extend(b"^C\r\n");
                return Pressed::Cancelled;
            }
            BACKSPACE | DELETE => {
                if self.text.pop_back().is_some() {
                    echo.extend(b"\x08 \x08");
                }
            }
            typed => {
                echo.push(if self.text.push(typed) { typed } else { BELL });
            }
        }
        Pressed::Editing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types `bytes`; gives the line, what the last byte did and what was shown.
    fn typed(bytes: &[u8]) -> (Line, Pressed, Vec<u8>) {
        let (mut line, mut echo, mut last) = (Line::default(), Buffer::<2048>::new(), Pressed::Editing);
        for byte in bytes {
            last = line.press(*byte, &mut echo);
        }
        (line, last, echo.as_slice().to_vec())
    }

    #[test]
    fn backspace_and_delete_remove_one_byte_and_nothing_at_the_start() {
        let (line, _, echo) = typed(b"\x7fab\x08c\x7f");
        assert_eq!(line.text(), b"a");
        assert_eq!(echo, b"ab\x08 \x08c\x08 \x08");
    }

    #[test]
    fn either_line_end_ends_the_line() {
        for end in *b"\r\n" {
            let (line, last, echo) = typed(&[b'x', end]);
            assert_eq!((line.text(), last, &echo[..]), (&b"x"[..], Pressed::Ended, &b"x\r\n"[..]));
        }
    }

    #[test]
    fn only_a_line_feed_right_after_cr_belongs_to_it() {
        let (mut line, ..) = typed(b"\r");
        assert!(line.completes_crlf(b'\n'));
        assert!(!line.completes_crlf(b'\n'));
        let (mut line, ..) = typed(b"\r");
        assert!(!line.completes_crlf(b'x'));
        assert!(!line.completes_crlf(b'\n'));
    }

    #[test]
    fn ctrl_c_clears_the_line() {
        let (line, last, echo) = typed(b"junk\x03");
        assert_eq!((line.text(), last), (&b""[..], Pressed::Cancelled));
        assert_eq!(echo, b"junk^C\r\n");
    }

    #[test]
    fn other_bytes_are_kept_unchanged_and_too_many_are_refused() {
        let (line, _, echo) = typed(b"\0\x1b\xff\t");
        assert_eq!((line.text(), &echo[..]), (&b"\0\x1b\xff\t"[..], &b"\0\x1b\xff\t"[..]));
        let (line, _, echo) = typed(&[b'x'; LINE_LEN + 2]);
        assert_eq!(line.text().len(), LINE_LEN);
        assert!(echo.ends_with(b"x\x07\x07"));
    }
}
