//! Every key at every level. All of it goes over the table of keys, so that a new one cannot be forgotten.

mod document;
mod files;
mod levels;
mod names;
mod values;

use std::fs;

use tempfile::TempDir;

use super::node::{Places, read_from};
use super::*;
use firmware::annotation::PREFIXES;
use firmware::setting::settings;
use firmware::toml_file::Document;

/// A node's directories.
struct Node(TempDir);

impl Node {
    fn new() -> Node {
        let dir = TempDir::new().expect("a directory");
        fs::create_dir(dir.path().join("conf.d")).expect("made");
        Node(dir)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Node {
        fs::write(self.path(name), text).expect("written");
        self
    }

    fn read(&self) -> Result<Config, ConfigError> {
        self.read_with(&RuntimeOptions::default(), None)
    }

    fn read_with(&self, options: &RuntimeOptions, file: Option<&str>) -> Result<Config, ConfigError> {
        let mut config = Config::new();
        self.read_into(&mut config, options, file).map(|()| config)
    }

    fn read_into(
        &self,
        config: &mut Config,
        options: &RuntimeOptions,
        file: Option<&str>,
    ) -> Result<(), ConfigError> {
        let places = Places {
            file: file.map(|file| self.path(file)),
            node: self.path("config.toml"),
            old_dir: self.path("conf.d"),
            old_file: self.path("micrun.conf"),
        };
        read_from(config, options, &places)
    }
}

/// The configuration of a node with this file.
fn node(text: &str) -> Result<Config, ConfigError> {
    Node::new().write("config.toml", text).read()
}

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn shown(config: &Config, key: Key) -> String {
    config.value(key).map(ToString::to_string).unwrap_or_default()
}

/// Somewhere a key can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// containerd's options of the runtime.
    Options,
    /// The node's file.
    File,
    /// A file of the older micrun.
    Ini,
    Board,
    Image,
    Pod,
    Container,
    /// The container, by the project's first name.
    FirstName,
}

impl Place {
    const ALL: [Place; 8] = [
        Place::Options,
        Place::File,
        Place::Ini,
        Place::Board,
        Place::Image,
        Place::Pod,
        Place::Container,
        Place::FirstName,
    ];

    fn level(self) -> Level {
        match self {
            Place::Options | Place::File | Place::Ini => Level::Node,
            Place::Board => Level::Board,
            Place::Image => Level::Image,
            Place::Pod => Level::Pod,
            Place::Container | Place::FirstName => Level::Container,
        }
    }

    /// True if values have types there.
    fn is_typed(self) -> bool {
        matches!(self, Place::Options | Place::File | Place::Board)
    }

    /// The names that `spec` has there.
    fn names(self, spec: &Spec) -> Vec<String> {
        let prefixed = |prefix| spec.annotations.iter().map(|name| format!("{prefix}{name}")).collect();
        match self {
            Place::Options | Place::File if spec.node => vec![spec.name.to_owned()],
            Place::Board if spec.node && !spec.is_the_nodes() => vec![spec.name.to_owned()],
            Place::Options | Place::File | Place::Board => Vec::new(),
            Place::Ini => spec.ini.iter().map(|name| (*name).to_owned()).collect(),
            Place::Image => spec.conf.iter().map(ToString::to_string).collect(),
            Place::Pod | Place::Container => prefixed(PREFIXES[0]),
            Place::FirstName => prefixed(PREFIXES[1]),
        }
    }

    /// Every key with every name that it has there.
    fn keys(self) -> Vec<(&'static Spec, String)> {
        TABLE.iter().flat_map(|spec| self.names(spec).into_iter().map(move |name| (spec, name))).collect()
    }

    /// Has `config` read a place where `name` is `value`, as TOML writes it.
    fn set(self, config: &mut Config, name: &str, value: &str) -> Result<(), ConfigError> {
        let none = RuntimeOptions::default();
        let text = value.trim_matches('"');
        let line = format!("{name} = {value}\n");
        match self {
            Place::Options => {
                let options = RuntimeOptions { path: None, body: line };
                Node::new().read_into(config, &options, None)
            }
            Place::File => Node::new().write("config.toml", &line).read_into(config, &none, None),
            Place::Ini => {
                let file = format!("[Mica]\n; a comment\n{name}: '{text}'\n");
                Node::new().write("conf.d/a.ini", &file).read_into(config, &none, None)
            }
            Place::Board => {
                let document = Document::parse(&line).expect("toml");
                config.add_board("rpi4", &settings(&document.root()).expect("settings"))
            }
            Place::Image => {
                let mut conf = ClientConf::new("a", "/a").expect("valid");
                let key = client_conf::Key::ALL.into_iter().find(|key| key.as_str() == name).expect("a key");
                conf.set(key, text).map_err(|_| of_image(text))?;
                config.add_image(&conf)
            }
            Place::Pod | Place::Container | Place::FirstName => {
                config.add_annotations(self.level(), &annotations(&[(name, &format!(" {text}\n"))]))
            }
        }
    }

    /// What a node's file, a board's and annotations say of where it stands.
    fn says(self, name: &str) -> String {
        match self {
            Place::Options => format!("containerd's options of the runtime: line 1: {name}"),
            Place::File => format!("/config.toml: line 1: {name}"),
            Place::Ini => format!("/conf.d/a.ini: line 3: {name}"),
            Place::Board => format!("board rpi4: line 1: {name}"),
            Place::Image => format!("the image's /etc/mica/client.conf: {name}"),
            Place::Pod => format!("annotation {name} of the pod"),
            Place::Container | Place::FirstName => format!("annotation {name}"),
        }
    }
}

/// `client.conf` refuses by its own sentences, which are tested where it is read.
fn of_image(value: &str) -> ConfigError {
    ConfigError::Value { place: String::new(), value: value.to_owned(), right: String::new() }
}

/// Right values that are nobody's default, as TOML writes them and as they are shown.
fn right(spec: &Spec) -> [(&'static str, &'static str); 2] {
    match (spec.kind, spec.key) {
        // There is only one that is not the default, and it has to win over the other.
        (Kind::Bool, Key::Pin) => [("false", "false"), ("true", "true")],
        (Kind::Bool, _) => [("true", "true"), ("false", "false")],
        (Kind::Time, _) => [("\"1m30s\"", "90s"), ("7", "7s")],
        (Kind::Number(..), _) => [("7", "7"), ("5", "5")],
        (Kind::Memory, _) => [("2048", "2048"), ("64", "64")],
        (Kind::Cpus, _) => [("\"1,0\"", "0-1"), ("\"3\"", "3")],
        (Kind::Text, Key::Pedestal) => [("\"xen\"", "xen"), ("\"qemu\"", "qemu")],
        (Kind::Text, Key::FirmwarePath | Key::PedestalConf) => [("\"/3\"", "/3"), ("\"/4\"", "/4")],
        (Kind::Text, _) => [("\"3\"", "3"), ("\"4\"", "4")],
        (Kind::Word(_), _) => [("\"crc32\"", "crc32"), ("\"sha256\"", "sha256")],
    }
}
