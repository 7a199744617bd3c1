//! A span of time as people write it: whole seconds, or Go's form such as `1m30s` or `1.5h`.

use std::time::Duration;

/// Longer is a slip of the pen.
pub const MAX_DAYS: u64 = 365;
/// More digits after the point than a nanosecond needs.
const MAX_DIGITS: usize = 9;

/// Units of Go's `time.ParseDuration`; of two that begin alike the longer one first.
const UNITS: [(&str, Duration); 8] = [
    ("ns", Duration::from_nanos(1)),
    ("us", Duration::from_micros(1)),
    ("µs", Duration::from_micros(1)),
    ("μs", Duration::from_micros(1)),
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
];

/// Reads a span from nothing to [`MAX_DAYS`].
pub fn parse(text: &str) -> Option<Duration> {
    let span = match whole(text) {
        Some(seconds) => Duration::from_secs(seconds.into()),
        None => terms(text)?,
    };
    (span <= Duration::from_secs(MAX_DAYS * 24 * 3600)).then_some(span)
}

/// One or more numbers with units.
fn terms(mut text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    loop {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(digits);
        let (unit, span) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum = sum.checked_add(times(*span, number)?)?;
        text = rest.strip_prefix(unit)?;
        if text.is_empty() {
            return Some(sum);
        }
    }
}

/// `span` times a decimal number.
fn times(span: Duration, number: &str) -> Option<Duration> {
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if integer.is_empty() && fraction.is_empty() || fraction.len() > MAX_DIGITS {
        return None;
    }
    let part = |digits: &str| if digits.is_empty() { Some(0) } else { whole(digits) };
    let parts = span.checked_mul(part(fraction)?)? / 10_u32.pow(fraction.len() as u32);
    span.checked_mul(part(integer)?)?.checked_add(parts)
}

/// Digits only: Rust would take a sign as well.
fn whole(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_go_s_form_are_read() {
        let millis = |text| parse(text).map(|span| span.as_millis());
        assert_eq!(millis("0"), Some(0));
        assert_eq!(millis("30"), Some(30_000));
        assert_eq!(millis("0s"), Some(0));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1.5h"), Some(5_400_000));
        assert_eq!(millis(".5s"), Some(500));
        assert_eq!(millis("2.s"), Some(2000));
        assert_eq!(millis("1h0m0.25s7ms"), Some(3_600_257));
        assert_eq!(parse("1us1µs1μs1ns"), Some(Duration::from_nanos(3001)));
        assert_eq!(millis("8760h"), Some(365 * 24 * 3600 * 1000));
    }

    #[test]
    fn anything_else_is_not() {
        for text in
            ["", "-1", "+1", "1.5", "s", ".s", "1 s", "1d", "1s2", "1..5s", "8760h1ns", "99999999999", "é"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("0.1234567891s"), None);
        assert_eq!(parse("4294967295h"), None);
    }
}
