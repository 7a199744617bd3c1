//! Reads the file line by line, as Python's `configparser` does.

use super::{ClientConf, ConfError, Key, Pedestal, Problem, Section, Warning};
use crate::text::excerpt;

/// Most bytes of a file.
pub const MAX_LEN: usize = 64 << 10;

/// Where in the file the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    In(Section),
    Elsewhere,
}

struct Reader {
    conf: ClientConf,
    warnings: Vec<Warning>,
    place: Place,
    sections_seen: Vec<Section>,
    /// Line in which each key of [`Key::ALL`] was set.
    set_in: [Option<usize>; Key::ALL.len()],
    /// Indentation of the last key; a line that is indented more would continue its value.
    key_indent: Option<usize>,
}

pub(super) fn parse(text: &str) -> Result<(ClientConf, Vec<Warning>), ConfError> {
    if text.len() > MAX_LEN {
        return Err(ConfError::TooLong(text.len()));
    }
    let mut reader = Reader {
        conf: ClientConf::default(),
        warnings: Vec::new(),
        place: Place::Start,
        sections_seen: Vec::new(),
        set_in: [None; Key::ALL.len()],
        key_indent: None,
    };
    for (line, text) in (1..).zip(text.lines()) {
        reader.line(line, text).map_err(|problem| ConfError::Line { line, problem })?;
    }
    reader.finish().map_err(ConfError::File)
}

impl Reader {
    fn line(&mut self, line: usize, text: &str) -> Result<(), Problem> {
        let content = text.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = text.len().saturating_sub(text.trim_start().len());
        if self.key_indent.is_some_and(|key| indent > key) {
            return Err(Problem::Continued(excerpt(content)));
        }
        match content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(section) => self.section(line, section),
            None => {
                self.key_indent = Some(indent);
                self.pair(line, content)
            }
        }
    }

    fn section(&mut self, line: usize, section: &str) -> Result<(), Problem> {
        self.key_indent = None;
        match Section::ALL.into_iter().find(|known| known.as_str() == section) {
            Some(known) if self.sections_seen.contains(&known) => return Err(Problem::SectionTwice(known)),
            Some(known) => {
                self.sections_seen.push(known);
                self.place = Place::In(known);
            }
            None if section == "DEFAULT" => return Err(Problem::Defaults),
            None => {
                self.place = Place::Elsewhere;
                self.warnings.push(Warning::UnknownSection { line, section: excerpt(section) });
            }
        }
        Ok(())
    }

    fn pair(&mut self, line: usize, content: &str) -> Result<(), Problem> {
        let syntax = || Problem::Syntax(excerpt(content));
        let (key, value) = content.split_once(['=', ':']).ok_or_else(syntax)?;
        let (key, value) = (key.trim_end(), value.trim_start());
        match self.place {
            _ if key.is_empty() => Err(syntax()),
            Place::Start => Err(Problem::Homeless(excerpt(content))),
            Place::Elsewhere => Ok(()),
            Place::In(section) => self.entry(line, section, key, value),
        }
    }

    fn entry(&mut self, line: usize, section: Section, name: &str, value: &str) -> Result<(), Problem> {
        let Some(key) = Key::find(section, name) else {
            let nearest = Key::nearest(section, name);
            self.warnings.push(Warning::UnknownKey { line, key: excerpt(name), nearest });
            return Ok(());
        };
        if let Some(first) = self.first_use(key, line) {
            return Err(Problem::KeyTwice { key, first });
        }
        let value = percent(key, value)?;
        self.conf.set(key, &value)?;
        if key == Key::Pedestal && !value.is_empty() && Pedestal::find(&value).is_none() {
            let nearest = Pedestal::nearest(&value);
            self.warnings.push(Warning::UnknownPedestal { line, word: excerpt(&value), nearest });
        }
        Ok(())
    }

    /// Notes that the key is set in this line; returns the line in which it was set before.
    fn first_use(&mut self, key: Key, line: usize) -> Option<usize> {
        let slot = Key::ALL.into_iter().zip(&mut self.set_in).find(|(known, _)| *known == key);
        slot.and_then(|(_, set_in)| set_in.replace(line))
    }

    fn finish(self) -> Result<(ClientConf, Vec<Warning>), Problem> {
        if !self.sections_seen.contains(&Section::Mica) {
            return Err(Problem::NoSection);
        }
        for (key, set_in) in Key::ALL.into_iter().zip(self.set_in) {
            if set_in.is_none() && matches!(key, Key::Name | Key::ClientPath) {
                return Err(Problem::Missing(key));
            }
        }
        self.conf.check_pedestal()?;
        Ok((self.conf, self.warnings))
    }
}

/// Undoes the doubling of percent signs.
fn percent(key: Key, value: &str) -> Result<String, Problem> {
    if value.replace("%%", "").contains('%') {
        return Err(Problem::Percent { key });
    }
    Ok(value.replace("%%", "%"))
}
