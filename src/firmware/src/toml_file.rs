//! TOML files that people write: from the bytes to checked values, with the line of each for the messages.
//!
//! Read by hand, without serde: every message has a line, and a key that means nothing is an error that names the known
//! key most like it. Recipes, boards and the node's configuration are read through this.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::text::{edits, excerpt};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A file that is valid TOML.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    entries: DeTable<'t>,
}

/// A table of a file.
#[derive(Debug)]
pub struct Table<'t> {
    text: &'t str,
    /// What its keys begin with in messages.
    prefix: String,
    entries: &'t DeTable<'t>,
    /// Where it begins.
    start: usize,
}

/// A value with its key.
#[derive(Debug)]
pub struct Value<'t> {
    text: &'t str,
    prefix: String,
    name: &'t Spanned<DeString<'t>>,
    value: &'t DeValue<'t>,
}

/// The known word that is most like a misspelt one; there must be one.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> &'k str {
    let distance = |known: &&str| edits(&known.to_ascii_lowercase(), &word.to_ascii_lowercase());
    known.iter().copied().min_by_key(distance).unwrap_or_default()
}

fn refused(text: &str, span: Range<usize>, problem: String) -> LineError {
    let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
    LineError { line, problem }
}

impl<'t> Document<'t> {
    /// Reads TOML. Its depth is bounded by the parser; its length is the caller's to bound.
    pub fn parse(text: &'t str) -> Result<Document<'t>, LineError> {
        let problem = |error: toml::de::Error| {
            let message = excerpt(error.message().lines().next().unwrap_or_default());
            refused(text, error.span().unwrap_or_default(), format!("not valid toml: {message}"))
        };
        let entries = DeTable::parse(text).map(Spanned::into_inner).map_err(problem)?;
        Ok(Document { text, entries })
    }

    /// The file itself.
    pub fn root(&'t self) -> Table<'t> {
        Table { text: self.text, prefix: String::new(), entries: &self.entries, start: 0 }
    }
}

impl<'t> Table<'t> {
    /// Proves that there are no keys but the known ones.
    pub fn only(&self, known: &[&str]) -> Result<(), LineError> {
        match self.values().find(|value| !known.contains(&value.name())) {
            None => Ok(()),
            Some(value) => {
                let nearest = nearest(&excerpt(value.name()), known);
                let key = value.key();
                Err(value.refused(&format!("key {key:?} is unknown, did you mean {}{nearest}", self.prefix)))
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.values().find(|value| value.name() == key)
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str) -> Result<Value<'t>, LineError> {
        self.get(key)
            .ok_or_else(|| self.refused(&format!("{:?} is missing", format!("{}{key}", self.prefix))))
    }

    /// All values, sorted by key.
    pub fn values(&self) -> impl Iterator<Item = Value<'t>> {
        let value = |(name, value): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| Value {
            text: self.text,
            prefix: self.prefix.clone(),
            name,
            value: value.get_ref(),
        };
        self.entries.iter().map(value)
    }

    /// The table of a key.
    pub fn table(&self, key: &str) -> Result<Option<Table<'t>>, LineError> {
        self.get(key).map(|value| value.table()).transpose()
    }

    /// An error in the line where the table begins.
    pub fn refused(&self, problem: &dyn Display) -> LineError {
        refused(self.text, self.start..self.start, problem.to_string())
    }
}

impl<'t> Value<'t> {
    /// The key in its table.
    pub fn name(&self) -> &'t str {
        self.name.get_ref()
    }

    /// The key for messages, with the table's.
    pub fn key(&self) -> String {
        format!("{}{}", self.prefix, excerpt(self.name()))
    }

    /// An error in the line of the key.
    pub fn refused(&self, problem: &dyn Display) -> LineError {
        refused(self.text, self.name.span(), problem.to_string())
    }

    /// A text that is not empty.
    pub fn text(&self) -> Result<&'t str, LineError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong_type("a string"))?;
        if text.is_empty() {
            return Err(self.refused(&format!("{:?} is empty, leave it out or set it", self.key())));
        }
        Ok(text)
    }

    /// A list of texts, which may be empty.
    pub fn texts(&self) -> Result<Vec<&'t str>, LineError> {
        let wrong = || self.wrong_type("an array of strings");
        let array = self.value.as_array().ok_or_else(wrong)?;
        array.iter().map(|item| item.get_ref().as_str().ok_or_else(wrong)).collect()
    }

    /// A number that is not negative, in any of TOML's notations.
    pub fn unsigned(&self) -> Result<u64, LineError> {
        let number = match self.value {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong_type("an integer from 0 to 2^64 - 1"))
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, LineError> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A text, a number or a boolean, as `client.conf` writes it.
    pub fn scalar(&self) -> Result<String, LineError> {
        let wrong = || self.wrong_type("a string, an integer or a boolean");
        match self.value {
            DeValue::String(_) => self.text().map(str::to_owned),
            DeValue::Boolean(on) => Ok(if *on { "yes" } else { "no" }.to_owned()),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                number.map(|number| number.to_string()).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }

    /// A table, in either of TOML's notations.
    pub fn table(&self) -> Result<Table<'t>, LineError> {
        let entries = self.value.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        Ok(self.table_of(entries))
    }

    /// A list of tables, which may be empty.
    pub fn tables(&self) -> Result<Vec<Table<'t>>, LineError> {
        let wrong = || self.wrong_type("an array of tables");
        let array = self.value.as_array().ok_or_else(wrong)?;
        let table = |item: &'t Spanned<DeValue<'t>>| Some(self.table_of(item.get_ref().as_table()?));
        array.iter().map(|item| table(item).ok_or_else(wrong)).collect()
    }

    fn table_of(&self, entries: &'t DeTable<'t>) -> Table<'t> {
        Table { text: self.text, prefix: format!("{}.", self.key()), entries, start: self.name.span().start }
    }

    fn wrong_type(&self, wanted: &'static str) -> LineError {
        self.refused(&format!("{:?} is of type {}, it must be {wanted}", self.key(), self.value.type_str()))
    }
}
