//! What can be wrong with a `client.conf`.

use crate::duration::MAX_DAYS;

use super::{Key, MAX_INPUT_RATE, MAX_LEN, Pedestal, Section};

/// A file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfError {
    /// Longer than [`MAX_LEN`].
    #[error("{0} bytes long, at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// Something is wrong with a line.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// Something is wrong with the file as a whole.
    #[error(transparent)]
    File(#[from] Problem),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No section `[Mica]`.
    #[error("section [Mica] is missing")]
    NoSection,
    /// A mandatory key is missing or empty.
    #[error("{0} is missing, it must be set")]
    Missing(Key),
    /// The pedestal cannot do without the key.
    #[error("{key} is missing, pedestal {pedestal} needs it")]
    Needed {
        /// The key.
        key: Key,
        /// The pedestal.
        pedestal: Pedestal,
    },
    /// The one core of that pedestal has a fixed name.
    #[error("CPU is {0:?}, it must be riscv with pedestal hetero")]
    HeteroCpu(String),
    /// Neither a section, nor a comment, nor `key = value`.
    #[error("{0:?} is not of the form key = value")]
    Syntax(String),
    /// A key before the first section.
    #[error("{0:?} stands before the section [Mica]")]
    Homeless(String),
    /// The line is indented more than the key above it, which would make it a part of that key's value.
    #[error("{0:?} is indented, values of several lines are not supported")]
    Continued(String),
    /// Its values would apply to all sections.
    #[error("section [DEFAULT] is not supported, put the keys into [Mica]")]
    Defaults,
    /// The same section again.
    #[error("section [{0}] is there already")]
    SectionTwice(Section),
    /// The same key again.
    #[error("{key} is set already in line {first}")]
    KeyTwice {
        /// The key.
        key: Key,
        /// Where it was set.
        first: usize,
    },
    /// A percent sign that is not doubled.
    #[error("{key} has a single %, write %% for a percent sign")]
    Percent {
        /// The key.
        key: Key,
    },
    /// `micad` would cut the value.
    #[error("{key} is {len} bytes long, at most {} are allowed", key.max_len())]
    TooLong {
        /// The key.
        key: Key,
        /// Length of the value.
        len: usize,
    },
    /// A control character.
    #[error("{key} is {value:?}, control characters are not allowed")]
    Control {
        /// The key.
        key: Key,
        /// Its value.
        value: String,
    },
    /// Not fit for a path and a command line.
    #[error("Name is {0:?}, it must be of A-Z a-z 0-9 . _ -, not begin with . or -, and not be mica-create")]
    Name(String),
    /// Not a boolean.
    #[error("{key} is {value:?}, it must be yes or no")]
    Boolean {
        /// The key.
        key: Key,
        /// Its value.
        value: String,
    },
    /// Not a number.
    #[error("{key} is {value:?}, it must be a number from 0 to {} or -1 for unset", i32::MAX)]
    Number {
        /// The key.
        key: Key,
        /// Its value.
        value: String,
    },
    /// Not a rate.
    #[error("ConsoleInputRate is {0:?}, it must be a number of bytes per second from 1 to {MAX_INPUT_RATE}")]
    InputRate(String),
    /// Not a checksum.
    #[error("{key} is {value:?}, it must be {digits} hexadecimal digits")]
    Checksum {
        /// The key.
        key: Key,
        /// Its value.
        value: String,
        /// How many digits it has.
        digits: usize,
    },
    /// Not a way to check firmware.
    #[error("FirmwareCheck is {0:?}, it must be crc32 or sha256")]
    Check(String),
    /// Not a span of time.
    #[error(
        "{key} is {value:?}, it must be whole seconds or a duration such as 1m30s, at most {MAX_DAYS} days"
    )]
    Time {
        /// The key.
        key: Key,
        /// Its value.
        value: String,
    },
    /// Not one core.
    #[error("CPU is {0:?}, it must be the number of one cpu")]
    Cpu(String),
}

/// Something that MICA ignores, though the author of the file surely did not mean it so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A key that nobody reads.
    #[error("line {line}: key {key:?} is unknown and ignored, did you mean {nearest}")]
    UnknownKey {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The known key most like it.
        nearest: Key,
    },
    /// A section that nobody reads.
    #[error("line {line}: section {section:?} is ignored, only [Mica] and [Micrun] are read")]
    UnknownSection {
        /// Counted from 1.
        line: usize,
        /// The section.
        section: String,
    },
    /// A word that MICA does not know.
    #[error("line {line}: Pedestal {word:?} is unknown and means baremetal, did you mean {nearest}")]
    UnknownPedestal {
        /// Counted from 1.
        line: usize,
        /// The word.
        word: String,
        /// The pedestal most like it.
        nearest: Pedestal,
    },
}
