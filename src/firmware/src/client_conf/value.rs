//! From the text of a value to what it means.

use super::error::Problem;
use super::{Check, Key, Pedestal};
use crate::duration;
use crate::text::excerpt;

/// Name of MICA's own socket for creating clients; a client of that name is refused by `micad`.
const CREATE_SOCKET: &str = "mica-create";

/// Highest rate at which console input can be paced; faster than any serial line.
pub const MAX_INPUT_RATE: u32 = 1_000_000;

/// Any text of one line, without the blanks around it; empty is unset.
pub(super) fn text(key: Key, text: &str) -> Result<Option<String>, Problem> {
    let text = text.trim();
    if text.len() > key.max_len() {
        return Err(Problem::TooLong { key, len: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::Control { key, value: excerpt(text) });
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

pub(super) fn mandatory(key: Key, value: &str) -> Result<String, Problem> {
    text(key, value)?.ok_or(Problem::Missing(key))
}

/// The name is part of a path (`/run/mica/NAME.socket`) and of command lines.
pub(super) fn name(value: &str) -> Result<String, Problem> {
    let name = mandatory(Key::Name, value)?;
    let harmless = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !harmless || name.starts_with(['.', '-']) || name == CREATE_SOCKET {
        return Err(Problem::Name(excerpt(&name)));
    }
    Ok(name)
}

pub(super) fn pedestal(value: &str) -> Result<Option<Pedestal>, Problem> {
    let word = text(Key::Pedestal, value)?;
    Ok(word.map(|word| Pedestal::find(&word).unwrap_or(Pedestal::Baremetal)))
}

pub(super) fn boolean(key: Key, value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(Problem::Boolean { key, value: excerpt(value) }),
    }
}

/// Bytes of console input per second, from 1 to [`MAX_INPUT_RATE`].
pub(super) fn input_rate(value: &str) -> Result<u32, Problem> {
    let rate = value.parse().ok().filter(|rate| (1..=MAX_INPUT_RATE).contains(rate));
    rate.ok_or_else(|| Problem::InputRate(excerpt(value)))
}

/// A span of time, kept as it is written; empty is unset.
pub(super) fn time(key: Key, value: &str) -> Result<Option<String>, Problem> {
    let Some(value) = text(key, value)? else { return Ok(None) };
    let wrong = || Problem::Time { key, value: excerpt(&value) };
    duration::parse(&value).ok_or_else(wrong)?;
    Ok(Some(value))
}

/// A checksum of `digits` hexadecimal digits, in lower case.
pub(super) fn checksum(key: Key, digits: usize, value: &str) -> Result<String, Problem> {
    let is_one = value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = || Problem::Checksum { key, value: excerpt(value), digits };
    is_one.then(|| value.to_ascii_lowercase()).ok_or_else(wrong)
}

pub(super) fn check(value: &str) -> Result<Check, Problem> {
    Check::find(value).ok_or_else(|| Problem::Check(excerpt(value)))
}

/// A decimal number that `micad` takes (`i32`); -1 is its word for unset.
pub(super) fn number(key: Key, value: &str) -> Result<Option<u32>, Problem> {
    match value.parse::<i32>() {
        Ok(-1) => Ok(None),
        Ok(number) if number >= 0 => Ok(Some(number.unsigned_abs())),
        _ => Err(Problem::Number { key, value: excerpt(value) }),
    }
}

/// A core in C syntax: decimal, octal after `0`, hexadecimal after `0x`.
pub fn parse_cpu(value: &str) -> Result<u32, Problem> {
    let (digits, radix) = match value.as_bytes() {
        [b'0', b'x' | b'X', ..] => (value.get(2..), 16),
        [b'0', _, ..] => (value.get(1..), 8),
        _ => (Some(value), 10),
    };
    // from_str_radix takes a sign, C's strtoul too; a core has none.
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    number.ok_or_else(|| Problem::Cpu(excerpt(value)))
}
