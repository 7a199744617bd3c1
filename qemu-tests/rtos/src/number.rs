//! Numbers as text and back, without the size of `core::fmt`.

/// Digits of 2^64 - 1 in base ten.
const MOST_DIGITS: usize = 20;

/// A number as text.
#[derive(Debug)]
pub(crate) struct Text {
    digits: [u8; MOST_DIGITS],
    start: usize,
}

impl Text {
    /// `value` in base ten.
    pub(crate) fn decimal(value: u64) -> Text {
        Text::in_base(value, 10)
    }

    /// `value` in base sixteen, without a prefix.
    pub(crate) fn hex(value: u64) -> Text {
        Text::in_base(value, 16)
    }

    /// The characters.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    fn in_base(mut value: u64, base: u64) -> Text {
        let (mut digits, mut start) = ([b'0'; MOST_DIGITS], MOST_DIGITS);
        loop {
            start -= 1;
            digits[start] = digit((value % base) as u8);
            value /= base;
            if value == 0 {
                return Text { digits, start };
            }
        }
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Reads a decimal number of at most `most`; nothing but digits is allowed.
pub(crate) fn parse(text: &[u8], most: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let value = text.iter().try_fold(0u64, |value, character| {
        let digit = character.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    });
    value.filter(|value| *value <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_written_in_full() {
        assert_eq!(Text::decimal(u64::MAX).as_bytes(), b"18446744073709551615");
        assert_eq!(Text::decimal(0).as_bytes(), b"0");
        assert_eq!(Text::hex(0x7a00_0abc).as_bytes(), b"7a000abc");
    }

    #[test]
    fn only_whole_numbers_in_range_are_read() {
        assert_eq!(parse(b"18446744073709551615", u64::MAX), Some(u64::MAX));
        assert_eq!(parse(b"18446744073709551616", u64::MAX), None);
        assert_eq!(parse(b"255", 255), Some(255));
        for bad in [&b""[..], b"256", b"-1", b"+1", b"1 ", b"0x1", b"/", b":"] {
            assert_eq!(parse(bad, 255), None, "{bad:?}");
        }
    }
}
