//! What a file sets, without knowing what the names mean: tables are only parts of names.

use crate::toml_file::{LineError, Table, Value};

/// The type that a value has in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `"…"`.
    String,
    /// `7`, not negative.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// The file knows no types.
    Untyped,
}

/// A name, and what it is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With its tables: `resources.pin`.
    pub name: String,
    /// The value as text.
    pub text: String,
    /// Its type.
    pub scalar: Scalar,
    /// Its line, counted from 1.
    pub line: usize,
}

/// All that `table` sets, its own tables included.
pub fn settings(table: &Table<'_>) -> Result<Vec<Setting>, LineError> {
    let mut all = Vec::new();
    collect(table, &mut all)?;
    Ok(all)
}

/// As deep as the parser lets tables be.
fn collect(table: &Table<'_>, all: &mut Vec<Setting>) -> Result<(), LineError> {
    for value in table.values() {
        match value.table() {
            Ok(inner) => collect(&inner, all)?,
            Err(_) => all.push(setting(&value)?),
        }
    }
    Ok(())
}

fn setting(value: &Value<'_>) -> Result<Setting, LineError> {
    let (text, scalar) = if let Ok(on) = value.boolean() {
        (on.to_string(), Scalar::Boolean)
    } else if let Ok(number) = value.unsigned() {
        (number.to_string(), Scalar::Integer)
    } else {
        (value.text()?.to_owned(), Scalar::String)
    };
    Ok(Setting { name: value.key(), text, scalar, line: value.refused(&"").line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::Document;

    fn read(text: &str) -> Result<Vec<Setting>, String> {
        let document = Document::parse(text).map_err(|error| error.to_string())?;
        settings(&document.root()).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_are_parts_of_names() {
        let set = |name: &str, text: &str, scalar, line| Setting {
            name: name.to_owned(),
            text: text.to_owned(),
            scalar,
            line,
        };
        let text = "debug = true\n[a]\nb = 0x10\nc.d = \"x\"\n";
        let expected = [
            set("a.b", "16", Scalar::Integer, 3),
            set("a.c.d", "x", Scalar::String, 4),
            set("debug", "true", Scalar::Boolean, 1),
        ];
        assert_eq!(read(text), Ok(expected.to_vec()));
    }

    #[test]
    fn other_values_are_refused_with_their_line() {
        for (text, found) in [("\na = [1]", "array"), ("\na = -1", "integer"), ("\na = 1.5", "float")] {
            assert_eq!(read(text), Err(format!("line 2: \"a\" is of type {found}, it must be a string")));
        }
    }
}
