//! `SOURCE_DATE_EPOCH`: the only time a reproducible build may know.

use std::fmt;

use firmware::date::rfc3339;

/// Last second that a tar header can hold (eleven octal digits; in the year 2242).
const LAST: u64 = 0o77_777_777_777;

/// Seconds since 1970 that fit a tar header. Displayed as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

/// The text is not such a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SOURCE_DATE_EPOCH is {0:?}, it must be seconds since 1970, 0 to {LAST}")]
pub struct EpochError(String);

impl Epoch {
    /// Reads decimal digits.
    pub fn parse(text: &str) -> Result<Epoch, EpochError> {
        // A sign, which u64 takes, is no digit.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = text.parse().ok().filter(|seconds| digits && *seconds <= LAST);
        seconds.map(Epoch).ok_or_else(|| EpochError(text.to_owned()))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", rfc3339(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_second_are_shown() {
        for (seconds, text) in [("0", "1970-01-01T00:00:00Z"), ("8589934591", "2242-03-16T12:56:31Z")] {
            assert_eq!(Epoch::parse(seconds).expect("valid").to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", " 1", "+1", "-1", "1.5", "yesterday", "8589934592", "99999999999999999999"] {
            let error = Epoch::parse(text).expect_err("not an epoch").to_string();
            let rule = "it must be seconds since 1970, 0 to 8589934591";
            assert_eq!(error, format!("SOURCE_DATE_EPOCH is {text:?}, {rule}"));
        }
    }
}
