//! Every key at every level; names that are wrong, values that are wrong; the document.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::node::{Places, read_from};
use super::*;
use firmware::setting::settings;
use firmware::toml_file::Document;

const DOCUMENT: &str = include_str!("../../../../docs/reference/configuration.md");
/// The file that a distribution installs.
const INSTALLED: &str = include_str!("../../../../meta-micrun/recipes-core/micrun-conf/files/config.toml");

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
        let places = Places {
            file: file.map(|file| self.path(file)),
            node: self.path("config.toml"),
            old_dir: self.path("conf.d"),
            old_file: self.path("micrun.conf"),
        };
        let mut config = Config::new();
        read_from(&mut config, options, &places).map(|()| config)
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

/// A right value that is nobody's default, as TOML writes it and as it is shown.
fn right(spec: &Spec) -> (&'static str, &'static str) {
    match (spec.kind, spec.key) {
        (Kind::Bool, Key::Pin) => ("false", "false"),
        (Kind::Bool, _) => ("true", "true"),
        (Kind::Time, _) => ("\"1m30s\"", "90s"),
        (Kind::Number(..), _) => ("7", "7"),
        (Kind::Memory, _) => ("\"2GiB\"", "2048"),
        (Kind::Cpus, _) => ("\"1,0\"", "0-1"),
        (Kind::Text, Key::Pedestal) => ("\"xen\"", "xen"),
        (Kind::Text, _) => ("\"3\"", "3"),
        (Kind::Word(words), _) => (words[0], words[0]),
    }
}

fn wrong(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Bool => Some("maybe"),
        Kind::Time | Kind::Number(..) => Some("-1"),
        Kind::Memory => Some("5 potatoes"),
        Kind::Cpus => Some("3-1"),
        Kind::Text => None,
        Kind::Word(_) => Some("none of them"),
    }
}

#[test]
fn the_table_is_in_the_order_of_its_keys() {
    for (index, spec) in TABLE.iter().enumerate() {
        assert_eq!(spec.key as usize, index, "{}", spec.name);
        assert!(spec.default.is_empty() || spec.kind.parse(spec.default).is_some(), "{}", spec.name);
        assert!(spec.node || !spec.is_the_nodes(), "{} can be set by nobody", spec.name);
    }
}

#[test]
fn every_key_can_be_set_where_it_has_a_name() {
    for spec in &TABLE {
        let (toml, shows) = right(spec);
        let text = toml.trim_matches('"');
        if spec.node {
            let config = node(&format!("{} = {toml}\n", spec.name)).expect(spec.name);
            assert_eq!((shown(&config, spec.key).as_str(), config.level(spec.key)), (shows, Level::Node));
            assert_eq!(config.warnings, [""; 0], "{}", spec.name);
        }
        for name in spec.ini {
            let config = Node::new().write("micrun.conf", &format!("[Mica]\n{name}: '{text}'\n")).read();
            assert_eq!(shown(&config.expect(name), spec.key), shows, "{name}");
        }
        if let Some(key) = spec.conf {
            let mut conf = ClientConf::new("a", "/a").expect("valid");
            let text = if spec.kind == Kind::Memory { "2048" } else { text };
            conf.set(key, text).expect(spec.name);
            let mut config = Config::new();
            config.add_image(&conf).expect(spec.name);
            assert_eq!((shown(&config, spec.key).as_str(), config.level(spec.key)), (shows, Level::Image));
        }
        for name in spec.annotations {
            for prefix in ["org.openeuler.micrun.", "org.openeuler.micran."] {
                let mut config = Config::new();
                let own = annotations(&[(&format!("{prefix}{name}"), &format!(" {text}\n"))]);
                config.add_annotations(Level::Container, &own).expect(name);
                assert_eq!(shown(&config, spec.key), shows, "{name}");
                assert_eq!(config.level(spec.key), Level::Container);
                assert_eq!(config.warnings, [""; 0], "{name}");
            }
        }
    }
}

#[test]
fn wrong_values_are_refused_with_place_and_what_is_right() {
    for spec in &TABLE {
        let Some(value) = wrong(spec.kind) else { continue };
        let ending = format!("is {value:?}, it must be {}", spec.kind.right());
        if spec.node {
            let error = node(&format!("\n{} = {value:?}\n", spec.name)).expect_err(spec.name).to_string();
            let place = format!("/config.toml: line 2: {} ", spec.name);
            assert!(error.contains(&place) && error.ends_with(&ending), "{error}");
        }
        for name in spec.ini {
            let error = Node::new().write("conf.d/a.ini", &format!("{name} = {value}\n")).read();
            let error = error.expect_err(name).to_string();
            assert!(error.contains("/conf.d/a.ini: line 1: ") && error.ends_with(&ending), "{error}");
        }
        for name in spec.annotations {
            let key = format!("org.openeuler.micrun.{name}");
            let own = annotations(&[(&key, value)]);
            let error = Config::new().add_annotations(Level::Container, &own).expect_err(name).to_string();
            assert_eq!(error, format!("annotation {key} {ending}"));
        }
    }
}

#[test]
fn wrong_types_are_refused() {
    for (text, problem) in [
        ("debug = 1", "debug is \"1\", it must be true or false"),
        ("debug = \"true\"", "debug is \"true\", it must be true or false"),
        ("resources.max_vcpus = \"8\"", "it must be a number of virtual CPUs from 0 to 1024"),
        ("resources.rtos_cpus = 3", "resources.rtos_cpus is \"3\", it must be a list of cpus like 0-2,5"),
        ("pedestal = true", "pedestal is \"true\", it must be a text of one line"),
        ("pedestal = [\"qemu\"]", "line 1: \"pedestal\" is of type array, it must be a string"),
        ("pedestal = ", "line 1: not valid toml: "),
    ] {
        let error = node(text).expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn units_are_understood() {
    for (value, mib) in [
        ("512", "512"),
        ("\"512\"", "512"),
        ("\"512MiB\"", "512"),
        ("\"2 GiB\"", "2048"),
        ("\"1536KiB\"", "1"),
    ] {
        let config = node(&format!("resources.max_memory = {value}")).expect(value);
        assert_eq!(shown(&config, Key::MaxMemory), mib, "{value}");
    }
    for value in ["64M", "64MB", "64mib", "MiB", "1.5GiB", "-1", "3000000GiB", "1KiB"] {
        assert!(node(&format!("resources.max_memory = {value:?}")).is_err(), "{value}");
    }
    let config = node("container.stop_timeout = 3").expect("seconds");
    assert_eq!(config.time(Key::StopTimeout), Some(Duration::from_secs(3)));
}

#[test]
fn names_that_are_not_known_are_warnings_with_the_nearest_one() {
    let config = node("[container]\nstop_timeot = 3\n[resource]\npin = true\n").expect("usable");
    let expected = [
        "config.toml: line 2: container.stop_timeot is unknown, did you mean container.stop_timeout",
        "config.toml: line 4: resource.pin is unknown, did you mean resources.pin",
    ];
    assert_eq!(config.warnings.len(), 2);
    assert!(config.warnings.iter().zip(expected).all(|(is, should)| is.ends_with(should)), "{config:?}");
    let mut config = Config::new();
    let own = annotations(&[("org.openeuler.micrun.container.auto_clsoe", "1"), ("org.example.x", "y")]);
    config.add_annotations(Level::Container, &own).expect("usable");
    let expected = "annotation org.openeuler.micrun.container.auto_clsoe is unknown, did you mean \
                    org.openeuler.micrun.container.auto_close";
    assert_eq!(config.warnings, [expected]);
}

#[test]
fn names_of_the_older_micrun_are_answered() {
    let config = Node::new().write("micrun.conf", "[Xen]\nexclusive_dom0_cpu = true\n").read();
    let warnings = config.expect("usable").warnings;
    let answer = "exclusive_dom0_cpu sets nothing: resources.rtos_cpus says which cpus are for rtos";
    assert!(warnings[0].ends_with(answer), "{warnings:?}");
    let mut config = Config::new();
    let prefix = "org.openeuler.micrun.";
    let keys = [
        "config_path",
        "ped.compatibility",
        "compatibility.xen",
        "pkg.oci.bundle_path",
        "container.os_version",
    ];
    let own = keys.map(|key| format!("{prefix}{key}"));
    let own = annotations(&own.each_ref().map(|key| (key.as_str(), "x")));
    config.add_annotations(Level::Container, &own).expect("usable");
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("config_path sets nothing: a container does not choose"));
}

#[test]
fn whoever_is_nearer_to_the_container_wins_whatever_the_order() {
    let board = |text: &str| {
        let document = Document::parse(text).expect("toml");
        settings(&document.root()).expect("settings")
    };
    let conf =
        ClientConf::parse("[Mica]\nName=a\nClientPath=/a\n[Micrun]\nStopTimeout=3\n").expect("valid").0;
    let of = |value| annotations(&[("org.openeuler.micrun.container.stop_timeout", value)]);
    let secs = |config: &Config| config.time(Key::StopTimeout).map(|time| time.as_secs());
    let mut config = node("container.stop_timeout = 1").expect("usable");
    assert_eq!(secs(&config), Some(1));
    let settings = board("container.stop_timeout = 2\nresources.max_vcpus = 1\n");
    config.add_board("rpi4", &settings).expect("usable");
    assert_eq!(secs(&config), Some(2));
    assert_eq!(
        config.warnings,
        ["board rpi4: line 2: resources.max_vcpus sets nothing: it is for the node's own file"]
    );
    config.add_image(&conf).expect("usable");
    assert_eq!(secs(&config), Some(3));
    config.add_annotations(Level::Pod, &of("4")).expect("usable");
    assert_eq!(secs(&config), Some(4));
    config.add_annotations(Level::Container, &of("5")).expect("usable");
    assert_eq!(secs(&config), Some(5));
    config.add_board("rpi4", &settings).expect("usable");
    config.add_image(&conf).expect("usable");
    assert_eq!(secs(&config), Some(5));
    assert_eq!(config.policy().node_max_vcpus, 8);
}

#[test]
fn todays_prefix_and_the_first_name_win() {
    let mut config = Config::new();
    let own = annotations(&[
        ("org.openeuler.micran.container.os", "old"),
        ("org.openeuler.micrun.container.os", "new"),
        ("org.openeuler.micrun.runtime.vcpu_pcpu_binding", "true"),
        ("org.openeuler.micrun.runtime.enable_vcpus_pinning", "false"),
    ]);
    config.add_annotations(Level::Container, &own).expect("usable");
    assert_eq!((config.text(Key::Os), config.is_on(Key::Pin)), (Some("new"), false));
}

#[test]
fn files_of_the_node_are_found_in_their_order() {
    let node = Node::new();
    node.write("micrun.conf", "max_container_vcpu = 1\ncontainer_maxmem = 1\n");
    let vcpus = |config: Result<Config, ConfigError>| config.expect("usable").policy().node_max_vcpus;
    assert_eq!(vcpus(node.read()), 1);
    node.write("conf.d/b.conf", "max_container_vcpu = 3\n")
        .write("conf.d/a.toml", "[Resource]\nmax_container_vcpu = 2\n");
    node.write("conf.d/c.bak", "max_container_vcpu = 9\n");
    assert_eq!(vcpus(node.read()), 3);
    assert_eq!(node.read().expect("usable").policy().node_max_memory, None);
    node.write("config.toml", "resources.max_vcpus = 4\n");
    assert_eq!(vcpus(node.read()), 4);
    node.write("alone.toml", "Resource.max_container_vcpu = 5\n")
        .write("other.ini", "max_container_vcpu = 6\n");
    let none = RuntimeOptions::default();
    assert_eq!(vcpus(node.read_with(&none, Some("alone.toml"))), 5);
    let options = RuntimeOptions { path: Some(node.path("other.ini")), body: String::new() };
    assert_eq!(vcpus(node.read_with(&options, Some("alone.toml"))), 6);
    let options = RuntimeOptions { path: None, body: "resources.max_vcpus = 7".to_owned() };
    assert_eq!(vcpus(node.read_with(&options, None)), 7);
    let broken = RuntimeOptions { path: None, body: "x".to_owned() };
    let error = node.read_with(&broken, None).expect_err("no toml").to_string();
    assert!(error.starts_with("containerd's options of the runtime: line 1: not valid toml"), "{error}");
}

#[test]
fn a_file_that_is_asked_for_and_not_there_is_an_error() {
    let node = Node::new();
    assert!(node.read().expect("nothing is asked for").warnings.is_empty());
    let error =
        node.read_with(&RuntimeOptions::default(), Some("none.toml")).expect_err("missing").to_string();
    assert!(error.contains("/none.toml: "), "{error}");
    node.write("config.toml", &"#\n".repeat(64 << 10));
    assert!(node.read().is_err());
    fs::write(node.path("config.toml"), b"\xff\xfe").expect("written");
    assert!(node.read().expect_err("no text").to_string().ends_with("/config.toml: it is not utf-8"));
}

#[test]
fn the_core_is_one_number() {
    let with = |value| {
        let mut config = Config::new();
        let own = annotations(&[("org.openeuler.micrun.container.cpu", value)]);
        config.add_annotations(Level::Container, &own).expect("a text");
        config.cpu().map_err(|error| error.to_string())
    };
    assert_eq!((with("2"), with("0x3"), Config::new().cpu()), (Ok(Some(2)), Ok(Some(3)), Ok(None)));
    let wrong = "annotation org.openeuler.micrun.container.cpu is \"1-3\", it must be the number of one cpu";
    assert_eq!(with("1-3"), Err(wrong.to_owned()));
}

#[test]
fn the_listing_says_who_said_what() {
    let mut config = node("pedestal = \"qemu\"\nconsole.input_rate = 960\n").expect("usable");
    let own = annotations(&[("org.openeuler.micrun.container.os", "my rtos")]);
    config.add_annotations(Level::Container, &own).expect("usable");
    let listing = config.listing();
    assert_eq!(listing.lines().count(), TABLE.len());
    let words = |name: &str| -> Vec<&str> {
        listing.lines().find(|line| line.starts_with(name)).expect(name).split_whitespace().collect()
    };
    assert!(words("console.input_rate")[2].ends_with("/config.toml:"));
    assert_eq!(words("console.input_rate")[3..], ["line", "2:", "console.input_rate"]);
    assert_eq!(words("container.os")[1..3], ["\"my", "rtos\""]);
    assert_eq!(words("container.stop_timeout")[1..], ["10s", "default"]);
    assert_eq!(words("cpu")[1..], ["-", "-"]);
}

#[test]
fn the_installed_file_names_every_key_of_the_node_and_sets_none() {
    assert!(node(INSTALLED).expect("usable").warnings.is_empty());
    let uncommented: String = INSTALLED
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let config = node(&uncommented).expect("usable");
    assert_eq!(config.warnings, [""; 0]);
    for spec in TABLE.iter().filter(|spec| spec.node) {
        assert_eq!(config.level(spec.key), Level::Node, "{}", spec.name);
    }
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split('|').map(str::trim).collect())
}

#[test]
fn the_document_has_every_key_as_it_is() {
    let section = DOCUMENT.split_once("## Keys").expect("the section").1;
    let rows: Vec<Vec<&str>> =
        section.lines().take_while(|line| !line.starts_with("A name")).filter_map(cells).collect();
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let known = TABLE.iter().map(|spec| {
        let name = if spec.node { format!("`{}`", spec.name) } else { format!("(`{}`)", spec.name) };
        let conf = spec.conf.map_or(String::new(), |key| format!("`{key}`"));
        let default = if spec.default.is_empty() { String::new() } else { format!("`{}`", spec.default) };
        [name, code(spec.annotations), conf, code(spec.ini), spec.kind.name(), default]
    });
    for (row, known) in rows.iter().skip(1).zip(known) {
        assert_eq!(row[..6], known);
    }
    assert_eq!(rows.len() - 1, TABLE.len());
}

#[test]
fn the_documents_examples_are_true() {
    let examples = DOCUMENT.split_once("## Examples").expect("the section").1;
    let mut blocks =
        examples.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').expect("lines"));
    let mut count = 0;
    while let Some((kind, file)) = blocks.next() {
        let name = if kind == "toml" { "config.toml" } else { "micrun.conf" };
        let mut config = Node::new().write(name, file).read().expect("usable");
        let (kind, own) = blocks.next().expect("annotations");
        assert_eq!(kind, "annotations");
        let own: Vec<(&str, &str)> =
            own.lines().map(|line| line.split_once('=').expect("key=value")).collect();
        config.add_annotations(Level::Container, &annotations(&own)).expect("usable");
        assert_eq!(config.warnings, [""; 0]);
        let (kind, shows) = blocks.next().expect("what is shown");
        assert_eq!(kind, "show");
        let listing = config.listing();
        for line in shows.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let shown = listing.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
            assert!({ shown }.any(|shown| shown == words), "{line} is not in\n{listing}");
        }
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn the_documents_messages_are_true() {
    let config = Node::new().write("config.toml", "\ncontainer.stop_timeot = 1\n").read().expect("usable");
    let own = annotations(&[("org.openeuler.micrun.container.stop_timeout", "soon")]);
    let error = Config::new().add_annotations(Level::Container, &own).expect_err("wrong").to_string();
    let warning = config.warnings[0].rsplit('/').next().expect("the file's name");
    for message in [format!("    /etc/micrun/{warning}\n"), format!("    {error}\n")] {
        assert!(DOCUMENT.contains(&message), "{message}");
    }
    assert_eq!(Path::new(NODE_FILE).file_name(), Some("config.toml".as_ref()));
}

#[test]
fn bare_metal_is_no_choice_of_a_pedestal() {
    let mut config = node("pedestal = \"micad\"").expect("usable");
    let said = annotations(&[("org.openeuler.micrun.ped.pedestal", "baremetal")]);
    config.add_annotations(Level::Container, &said).expect("usable");
    assert_eq!(config.text(Key::Pedestal), Some("micad"));
}
