//! Dates as text, for image labels and for the shim's log: RFC 3339 in UTC.

const DAY: u64 = 24 * 60 * 60;

/// Date and time of a second since 1970, up to the seconds and without a zone: `2000-02-29T23:59:59`.
pub fn rfc3339(seconds: u64) -> String {
    let (year, month, day) = date(seconds / DAY);
    let second = seconds % DAY;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}", second % 60)
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
    use super::rfc3339;

    #[test]
    fn dates_are_those_of_date_1() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (8_589_934_591, "2242-03-16T12:56:31"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
