//! Text of unknown origin on a terminal, and addresses as people write them.

use std::fmt;

use openamp::resource_table::ADDR_ANY;
use serde::{Serialize, Serializer};

/// The text with what could drive a terminal, or hide other text, as escapes.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, char| {
        match char {
            '"' | '\'' => shown.push(char),
            _ => shown.extend(char.escape_debug()),
        }
        shown
    })
}

/// An address. Displayed as `0x7a000000`; in JSON a text too, for numbers of 64 bits are not safe there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address of a resource table. Displayed as `any` where the host chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableAddress(pub u32);

impl fmt::Display for TableAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ADDR_ANY => f.write_str("any"),
            address => write!(f, "{address:#x}"),
        }
    }
}

impl Serialize for TableAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(printable("a \"b\" 'c' ä"), "a \"b\" 'c' ä");
        assert_eq!(printable("\u{1b}[2J\n\u{202e}\\"), "\\u{1b}[2J\\n\\u{202e}\\\\");
    }
}
