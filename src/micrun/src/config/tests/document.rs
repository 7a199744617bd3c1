//! The documents, and the file that is installed, say what is true.

use std::path::Path;

use super::*;

const DOCUMENT: &str = include_str!("../../../../../docs/reference/configuration.md");
/// The file that a distribution installs.
const INSTALLED: &str = include_str!("../../../../../meta-micrun/recipes-core/micrun-conf/files/config.toml");

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
fn the_documents_options_of_the_runtime_are_read() {
    let (_, options) = DOCUMENT.split_once(".containerd.runtimes.micrun.options]\n").expect("the example");
    let body = options.split("\n\n").next().expect("its lines").to_owned();
    let options = RuntimeOptions { path: None, body };
    let config = Node::new().write("config.toml", "resources.max_memory = 7").read_with(&options, None);
    let config = config.expect("usable");
    assert_eq!((shown(&config, Key::MaxMemory), &config.warnings), ("64".to_owned(), &Vec::new()));
}

/// A file in another document would be one that nobody reads.
#[test]
fn no_other_document_has_a_file_of_the_node() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut directories = vec![documents];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if !path.ends_with("reference/configuration.md") {
                let text = std::fs::read_to_string(&path).expect("text");
                let tables =
                    ["```ini", "```annotations", "\n[resources]", "\n[console]", "\n[rpc]", "\n[Resource]"];
                assert!(!tables.iter().any(|table| text.contains(table)), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 10, "{read}");
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
