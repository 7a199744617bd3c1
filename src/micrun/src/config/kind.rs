//! Types of values, and how people write them.

use std::fmt;
use std::time::Duration;

use crate::resources::CpuList;
use firmware::duration;
use firmware::setting::Scalar;

/// Most MiB: more do not fit the 32 bits of `micad`.
const MAX_MIB: u32 = i32::MAX as u32;

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// Whole seconds, or a span with units.
    Time,
    /// A number from the first to the second, of the third.
    Number(u32, u32, &'static str),
    /// MiB, or a size with a unit.
    Memory,
    /// A list of CPUs.
    Cpus,
    /// Any text of one line.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Time(Duration),
    /// A number; of memory, of MiB.
    Number(u32),
    Text(String),
}

impl Kind {
    /// Understands what people write; `None` if it is wrong.
    pub(super) fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Kind::Bool => boolean(text).map(Value::Bool),
            Kind::Time => duration::parse(text).map(Value::Time),
            Kind::Number(least, most, _) => {
                let number = digits(text).filter(|number| (least..=most).contains(number));
                number.map(Value::Number)
            }
            Kind::Memory => memory(text).map(Value::Number),
            Kind::Cpus => CpuList::parse(text).map(|cpus| Value::Text(cpus.to_string())),
            Kind::Text => (!text.is_empty() && !text.chars().any(char::is_control))
                .then(|| Value::Text(text.to_owned())),
            Kind::Word(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        }
    }

    /// True if a file in TOML may have a value of this type here.
    pub(super) fn takes(self, scalar: Scalar) -> bool {
        match self {
            Kind::Bool => scalar == Scalar::Boolean,
            Kind::Number(..) => scalar == Scalar::Integer,
            Kind::Time | Kind::Memory => scalar != Scalar::Boolean,
            Kind::Cpus | Kind::Text | Kind::Word(_) => scalar == Scalar::String,
        }
    }

    /// What a value must be.
    pub(super) fn right(self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Time => {
                format!("whole seconds or a duration such as 1m30s, at most {} days", duration::MAX_DAYS)
            }
            Kind::Number(least, most, of) => format!("a number of {of} from {least} to {most}"),
            Kind::Memory => format!("a number of MiB, or one with KiB, MiB or GiB, at most {MAX_MIB} MiB"),
            Kind::Cpus => "a list of cpus like 0-2,5".to_owned(),
            Kind::Text => "a text of one line".to_owned(),
            Kind::Word(words) => words.join(" or "),
        }
    }

    /// The type in a word or two, as the documents name it.
    pub fn name(self) -> String {
        match self {
            Kind::Bool => "boolean".to_owned(),
            Kind::Time => "time".to_owned(),
            Kind::Number(least, most, of) => format!("{of}, {least} to {most}"),
            Kind::Memory => "memory".to_owned(),
            Kind::Cpus => "list of CPUs".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(on) => on.fmt(f),
            Value::Time(time) => write!(f, "{time:?}"),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

/// The words of Go's `strconv.ParseBool`, in which the older micrun took them, and the two of `client.conf`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "yes" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" | "no" => Some(false),
        _ => None,
    }
}

/// Digits only: Rust would take a sign as well.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// MiB; what is less than a whole one is rounded down, but not to nothing.
fn memory(text: &str) -> Option<u32> {
    let Some(at) = text.find(|c: char| !c.is_ascii_digit()) else {
        return digits(text).filter(|mib| *mib <= MAX_MIB);
    };
    let (number, unit) = text.split_at(at);
    let number = u64::from(digits(number)?);
    let kib = match unit.trim_start() {
        "KiB" => number,
        "MiB" => number << 10,
        "GiB" => number << 20,
        _ => return None,
    };
    let mib = u32::try_from(kib >> 10).ok().filter(|mib| *mib <= MAX_MIB)?;
    (mib > 0 || kib == 0).then_some(mib)
}
