//! From TOML to texts, with the line of each for the messages.

use std::ops::Range;
use std::str::FromStr;

use firmware::text::{edits, excerpt};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{RecipeError, RecipeProblem};

/// Reads TOML. Its depth is bounded by the parser.
pub(super) fn parse(text: &str) -> Result<DeTable<'_>, RecipeError> {
    let problem = |error: toml::de::Error| {
        let message = error.message().lines().next().unwrap_or_default();
        refused(text, error.span().unwrap_or_default(), RecipeProblem::Toml(excerpt(message)))
    };
    DeTable::parse(text).map(Spanned::into_inner).map_err(problem)
}

/// The known word that is most like a misspelt one; there must be one.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> &'k str {
    let distance = |known: &&str| edits(&known.to_ascii_lowercase(), &word.to_ascii_lowercase());
    known.iter().copied().min_by_key(distance).unwrap_or_default()
}

fn refused(text: &str, span: Range<usize>, problem: impl Into<RecipeProblem>) -> RecipeError {
    let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
    RecipeError::Line { line, problem: problem.into() }
}

/// A table of a recipe.
pub(super) struct Table<'t> {
    text: &'t str,
    /// What its keys begin with in messages.
    prefix: String,
    entries: &'t DeTable<'t>,
}

/// A value with its key.
pub(super) struct Value<'t> {
    text: &'t str,
    prefix: String,
    name: &'t Spanned<DeString<'t>>,
    value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub(super) fn of_file(text: &'t str, entries: &'t DeTable<'t>) -> Table<'t> {
        Table { text, prefix: String::new(), entries }
    }

    /// Proves that there are no keys but the known ones.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), RecipeError> {
        match self.values().find(|value| !known.contains(&value.name())) {
            None => Ok(()),
            Some(value) => {
                let nearest = format!("{}{}", self.prefix, nearest(&excerpt(value.name()), known));
                Err(value.refused(RecipeProblem::UnknownKey { key: value.key(), nearest }))
            }
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'t>> {
        self.values().find(|value| value.name() == key)
    }

    /// All values, sorted by key.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'t>> {
        let value = |(name, value): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| Value {
            text: self.text,
            prefix: self.prefix.clone(),
            name,
            value: value.get_ref(),
        };
        self.entries.iter().map(value)
    }

    /// The table of a key.
    pub(super) fn table(&self, key: &str) -> Result<Option<Table<'t>>, RecipeError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let entries = value.value.as_table().ok_or_else(|| value.wrong_type("a table"))?;
        Ok(Some(Table { text: self.text, prefix: format!("{key}."), entries }))
    }
}

impl<'t> Value<'t> {
    /// The key in its table.
    pub(super) fn name(&self) -> &'t str {
        self.name.get_ref()
    }

    /// The key for messages, with the table's.
    pub(super) fn key(&self) -> String {
        format!("{}{}", self.prefix, excerpt(self.name()))
    }

    /// An error in the line of the key.
    pub(super) fn refused(&self, problem: impl Into<RecipeProblem>) -> RecipeError {
        refused(self.text, self.name.span(), problem)
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&'t str, RecipeError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong_type("a string"))?;
        if text.is_empty() { Err(self.refused(RecipeProblem::Empty(self.key()))) } else { Ok(text) }
    }

    /// A list of texts, which may be empty.
    pub(super) fn texts(&self) -> Result<Vec<&'t str>, RecipeError> {
        let wrong = || self.wrong_type("an array of strings");
        let array = self.value.as_array().ok_or_else(wrong)?;
        array.iter().map(|item| item.get_ref().as_str().ok_or_else(wrong)).collect()
    }

    /// A text that means a `T`.
    pub(super) fn parsed<T: FromStr<Err: Into<RecipeProblem>>>(&self) -> Result<T, RecipeError> {
        self.text()?.parse().map_err(|error| self.refused(error))
    }

    /// A text, a number or a boolean, as `client.conf` writes it.
    pub(super) fn scalar(&self) -> Result<String, RecipeError> {
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

    fn wrong_type(&self, wanted: &'static str) -> RecipeError {
        let found = self.value.type_str();
        self.refused(RecipeProblem::Type { key: self.key(), found, wanted })
    }
}
