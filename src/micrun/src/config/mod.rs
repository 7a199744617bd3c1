//! What is set, for the node and for one container, and by whom.
//!
//! One table, [`TABLE`], has every key: its names, its type, its default, who may set it. Parsing, `micrun config show`,
//! the checks of the documents and most tests come from it. Whoever is nearer to the container wins: default, node, board,
//! image, pod, container ([`Level`]); but what is the node's alone has no name at the other levels.

mod annotations;
mod ini;
mod key;
mod kind;
mod node;
mod retired;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use key::{Key, Spec, TABLE};
pub use kind::Kind;
use kind::Value;
pub use node::{NODE_FILE, RuntimeOptions};
pub use show::{FILE, write};

use crate::resources::{CpuList, Image, Policy};
use firmware::client_conf::{self, ClientConf, Pedestal};
use firmware::layout::CLIENT_CONF;
use firmware::setting::Setting;
use firmware::text::excerpt;

/// Who says so. The later one counts more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody.
    Default,
    /// A file of the node, or containerd's configuration of the runtime.
    Node,
    /// The board's file.
    Board,
    /// The image.
    Image,
    /// The pod that the container is in.
    Pod,
    /// The container.
    Container,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who says so.
    pub level: Level,
    /// Where, for people: a file with the line, an annotation.
    pub place: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// A value is wrong, or a file of the node cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key has a value that it cannot have.
    #[error("{place} is {value:?}, it must be {right}")]
    Value {
        /// Where it stands, with the key.
        place: String,
        /// The value, or its beginning.
        value: String,
        /// What would be right.
        right: String,
    },
    /// A file cannot be read, or not as what it is.
    #[error("{file}: {problem}")]
    File {
        /// Its path.
        file: String,
        /// Why.
        problem: String,
    },
}

/// Every key's value.
#[derive(Clone, Debug)]
pub struct Config {
    entries: [Option<Entry>; TABLE.len()],
    /// What was set and means nothing, or something else than it did; one line each.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    source: Source,
}

impl Config {
    /// Nothing but the defaults.
    pub fn new() -> Config {
        let default = |spec: &Spec| {
            let value = spec.kind.parse(spec.default)?;
            Some(Entry { value, source: Source { level: Level::Default, place: "default".to_owned() } })
        };
        Config { entries: TABLE.each_ref().map(default), warnings: Vec::new() }
    }

    /// The node's configuration: its files, then what containerd's configuration says for the runtime.
    pub fn of_node(options: &RuntimeOptions) -> Result<Config, ConfigError> {
        let mut config = Config::new();
        node::read(&mut config, options)?;
        Ok(config)
    }

    /// Adds what the board's file says.
    pub fn add_board(&mut self, board: &str, settings: &[Setting]) -> Result<(), ConfigError> {
        node::apply(self, Level::Board, &format!("board {board}"), settings)
    }

    /// Adds what the image says. Its texts were checked when the file was read.
    pub fn add_image(&mut self, conf: &ClientConf) -> Result<(), ConfigError> {
        for spec in &TABLE {
            let Some(key) = spec.conf else { continue };
            let Some(text) = conf.get(key) else { continue };
            let place = format!("the image's {CLIENT_CONF}: {key}");
            self.set(spec, &text, Source { level: Level::Image, place })?;
        }
        Ok(())
    }

    /// Adds annotations, those of the pod or the container's own.
    pub fn add_annotations(
        &mut self,
        level: Level,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), ConfigError> {
        annotations::read(self, level, annotations)
    }

    /// Gives `spec` the value that `text` stands for, unless somebody nearer to the container has given one.
    fn set(&mut self, spec: &Spec, text: &str, source: Source) -> Result<(), ConfigError> {
        // How firmware is made, not who drives it: every pedestal with a core of its own does, and `qemu` emulates one.
        if spec.key == Key::Pedestal && text.trim() == Pedestal::Baremetal.as_str() {
            return Ok(());
        }
        let Some(value) = spec.kind.parse(text) else {
            let value = excerpt(text.trim());
            return Err(ConfigError::Value { place: source.place, value, right: spec.kind.right() });
        };
        let entry = &mut self.entries[spec.key as usize];
        if entry.as_ref().is_none_or(|entry| entry.source.level <= source.level) {
            *entry = Some(Entry { value, source });
        }
        Ok(())
    }

    /// Says what was set and means nothing.
    pub fn warn(&self) {
        for warning in &self.warnings {
            log::warn!("{warning}");
        }
    }

    /// Who has set `key`; nobody if it has no value.
    pub fn level(&self, key: Key) -> Level {
        self.entries[key as usize].as_ref().map_or(Level::Default, |entry| entry.source.level)
    }

    /// True if it has a value.
    pub fn is_set(&self, key: Key) -> bool {
        self.value(key).is_some()
    }

    fn value(&self, key: Key) -> Option<&Value> {
        self.entries[key as usize].as_ref().map(|entry| &entry.value)
    }

    /// A text; `None` if nobody says it.
    pub fn text(&self, key: Key) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number; `None` if nobody says it.
    pub fn number(&self, key: Key) -> Option<u32> {
        match self.value(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A number where 0 is nobody's word for anything.
    fn positive(&self, key: Key) -> Option<u32> {
        self.number(key).filter(|number| *number > 0)
    }

    /// True if it is on.
    pub fn is_on(&self, key: Key) -> bool {
        self.value(key) == Some(&Value::Bool(true))
    }

    /// A span of time; zero is the word for "never", which is `None`.
    pub fn time(&self, key: Key) -> Option<Duration> {
        match self.value(key)? {
            Value::Time(time) => Some(*time).filter(|time| !time.is_zero()),
            _ => None,
        }
    }

    /// The one core that is wanted, if somebody says which.
    pub fn cpu(&self) -> Result<Option<u32>, ConfigError> {
        let Some(Entry { value: Value::Text(text), source }) = &self.entries[Key::Cpu as usize] else {
            return Ok(None);
        };
        let wrong = |_| ConfigError::Value {
            place: source.place.clone(),
            value: excerpt(text),
            right: "the number of one cpu".to_owned(),
        };
        client_conf::parse_cpu(text).map(Some).map_err(wrong)
    }

    /// What of it bounds resources.
    pub fn policy(&self) -> Policy {
        Policy {
            node_max_vcpus: self.positive(Key::MaxVcpus).unwrap_or(key::MAX_VCPUS),
            node_max_memory: self.positive(Key::MaxMemory),
            default_memory: self.positive(Key::DefaultMemory),
            rtos_cpus: self.text(Key::RtosCpus).and_then(CpuList::parse),
            pin: self.is_on(Key::Pin),
            shared_pool: self.is_on(Key::SharedPool),
            pool: None,
            max_vcpus: self.positive(Key::MaxVcpuNum),
            min_memory: self.positive(Key::MinMemory),
            image: Image {
                vcpus: self.positive(Key::ImageVcpus),
                cpu_weight: self.positive(Key::ImageCpuWeight),
                cpu_capacity: self.number(Key::ImageCpuCapacity),
                memory: self.positive(Key::ImageMemory),
                max_memory: self.positive(Key::ImageMaxMemory),
            },
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}
