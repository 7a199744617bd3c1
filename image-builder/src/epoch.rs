//! `SOURCE_DATE_EPOCH`: the only time a reproducible build may know.

use std::fmt;

/// Last second that a tar header can hold (eleven octal digits; in the year 2242).
const LAST: u64 = 0o77_777_777_777;
const DAY: u64 = 24 * 60 * 60;

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
        let (year, month, day) = date(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
}

/// Year, month and day of a day since 1970-01-01. Years are counted from March, so that a leap day comes
/// last, in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    const DAYS_TO_1970: u64 = 719_468;
    let shifted = days + DAYS_TO_1970;
    let (era, day_of_era) = (shifted / ERA, shifted % ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_1() {
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("951782399", "2000-02-28T23:59:59Z"),
            ("951782400", "2000-02-29T00:00:00Z"),
            ("1709251199", "2024-02-29T23:59:59Z"),
            ("1709251200", "2024-03-01T00:00:00Z"),
            ("1735689599", "2024-12-31T23:59:59Z"),
            ("4107542400", "2100-03-01T00:00:00Z"),
            ("8589934591", "2242-03-16T12:56:31Z"),
        ] {
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
