//! The lists of known defects, `docs/reference/defects.md`, and of rules, `docs/reference/channel.md`: every test that they
//! name is there, and the numbers of the defects have no gap.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many of each letter there are.
const COUNTS: [(char, usize); 4] = [('C', 12), ('L', 18), ('S', 18), ('K', 11)];

struct Row {
    number: String,
    micrun: String,
    /// Name and file.
    tests: Vec<(String, PathBuf)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page of `docs/reference`, line by line as far as it is tables: the cells.
fn cells(page: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(reference().join(page)).expect("the page");
    let is_head = |line: &str| line.starts_with("| # ") || line.starts_with("| Rule ");
    let lines = text.lines().filter(|line| line.starts_with("| ") && !is_head(line));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn reference() -> PathBuf {
    root().join("docs/reference")
}

/// The tests that a cell names, and their files.
fn tests(cell: &str) -> Vec<(String, PathBuf)> {
    links(cell).map(|(name, file)| (name, reference().join(file))).collect()
}

/// The defects.
fn rows() -> Vec<Row> {
    let row = |cells: Vec<String>| {
        let [number, defect, micrun, named] = cells.try_into().expect("four cells");
        assert!(!defect.is_empty() && !micrun.is_empty(), "{number} says nothing");
        Row { number, micrun, tests: tests(&named) }
    };
    cells("defects.md").into_iter().map(row).collect()
}

/// The links `[name](file)` of a cell, which has nothing else.
fn links(cell: &str) -> impl Iterator<Item = (String, String)> {
    cell.split_terminator(')').map(|link| {
        let parts = link.trim_start_matches(", ").strip_prefix('[').and_then(|link| link.split_once("]("));
        let (name, file) = parts.unwrap_or_else(|| panic!("{link:?} is no link"));
        (name.to_owned(), file.to_owned())
    })
}

/// True if the file has a test of that name: a function, or a sentence of the tests on the board in QEMU.
fn has_test(source: &str, name: &str) -> bool {
    if name.contains(' ') {
        return source.contains(&format!("Test::new(\"{name}\","));
    }
    let (lines, head) = (Vec::from_iter(source.lines().map(str::trim)), format!("fn {name}("));
    lines.iter().enumerate().any(|(at, line)| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with('#'));
        line.starts_with(&head) && attributes.any(|line| *line == "#[test]")
    })
}

/// What was read of each file.
#[derive(Default)]
struct Sources(BTreeMap<PathBuf, String>);

impl Sources {
    fn demand(&mut self, whose: &str, (name, file): (String, PathBuf)) {
        let read = |file: &Path| {
            fs::read_to_string(file).unwrap_or_else(|e| panic!("{whose}: {}: {e}", file.display()))
        };
        let source = self.0.entry(file.clone()).or_insert_with(|| read(&file));
        assert!(has_test(source, &name), "{whose}: {} has no test {name:?}", file.display());
    }
}

#[test]
#[cfg_attr(miri, ignore = "files, not memory")]
fn every_named_test_is_there() {
    let mut sources = Sources::default();
    for Row { number, micrun, tests } in rows() {
        assert!(!tests.is_empty() || micrun.starts_with("not ours"), "{number} has neither test nor reason");
        tests.into_iter().for_each(|test| sources.demand(&number, test));
    }
}

#[test]
#[cfg_attr(miri, ignore = "files, not memory")]
fn every_rule_has_tests_that_are_there() {
    let (mut sources, rules) = (Sources::default(), cells("channel.md"));
    assert!(rules.len() > 30, "{} rules", rules.len());
    for cells in rules {
        let [rule, named] = cells.try_into().expect("two cells");
        let tests = tests(&named);
        assert!(!tests.is_empty(), "{rule}: no test");
        tests.into_iter().for_each(|test| sources.demand(&rule, test));
    }
}

#[test]
#[cfg_attr(miri, ignore = "files, not memory")]
fn the_numbers_have_no_gap() {
    let numbers: Vec<String> = rows().into_iter().map(|row| row.number).collect();
    let expected =
        COUNTS.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")));
    assert_eq!(numbers, Vec::from_iter(expected));
}

/// A test of this crate that has a defect's number in its name stands in that defect's row.
#[test]
#[cfg_attr(miri, ignore = "files, not memory")]
fn numbered_tests_are_in_their_rows() {
    let source = include_str!("defects.rs");
    let heads =
        source.lines().filter_map(|line| line.strip_prefix("fn ")?.split_once('(')).map(|(name, _)| name);
    let (rows, mut seen) = (rows(), 0);
    for name in heads.filter(|name| has_test(source, name)) {
        let number = name.split('_').next().unwrap_or_default().to_uppercase();
        if number.len() < 2 || !number[1..].bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let row = rows.iter().find(|row| row.number == number).unwrap_or_else(|| panic!("no row {number}"));
        assert!(row.tests.iter().any(|(test, _)| test == name), "{number} does not name {name}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen} tests of defects.rs have numbers");
}

#[test]
fn what_is_no_test_is_none() {
    assert!(has_test("#[test]\n#[cfg(x)]\n    fn a() {}\n", "a"));
    for source in ["fn a() {}", "#[test]\nfn ab() {}", "#[test]\nfn b() {}\nfn a() {}", "// fn a() {"] {
        assert!(!has_test(source, "a"), "{source}");
    }
    assert!(has_test("Test::new(\"x: y\", y)", "x: y"));
    assert!(!has_test("Test::new(\"x: y z\", y)", "x: y"));
}
