//! What the layer repeats of the repository, because bitbake can't read it there, must be what the repository says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::LAYER;

/// Everything that the layer says otherwise than the repository, one line each.
///
/// # Errors
/// A file of either can't be read.
pub(super) fn contradictions(root: &Path) -> Result<Vec<String>> {
    let read = |name: &str| fs::read_to_string(root.join(name)).with_context(|| name.to_owned());
    let of_layer = |name: &str| read(&format!("{LAYER}/{name}"));
    let manifest = read("Cargo.toml")?;
    let mut found = Vec::new();
    for recipe in
        ["recipes-core/micrun/micrun-source.inc", "recipes-kernel/micrun-remoteproc/micrun-remoteproc.bb"]
    {
        let (ours, cargo) = (assigned(&of_layer(recipe)?, "PV"), assigned(&manifest, "version"));
        found.extend(unless(ours == cargo, || format!("{recipe}: PV is {ours:?}, Cargo.toml has {cargo:?}")));
    }
    found.extend(toolchain(root, &manifest)?);
    found.extend(packages(root, &read("Cargo.lock")?)?);
    found.extend(boards(root, &of_layer("classes-recipe/micrun-board.bbclass")?)?);
    found.extend(papers(&of_layer("README.md")?, &root.join(LAYER)));
    Ok(found)
}

/// What `yocto-check-layer` wants to read: who maintains the layer, how to send a patch, and how to report a weakness.
fn papers(readme: &str, layer: &Path) -> Vec<String> {
    let readme = readme.to_lowercase();
    let words = ["maintainer", "patch"].into_iter().filter(|word| !readme.contains(word));
    let mut found: Vec<String> = words.map(|word| format!("README.md says nothing of a {word}")).collect();
    let security = layer.join("SECURITY.md").is_file();
    found.extend(unless(security, || "there is no SECURITY.md".to_owned()));
    found
}

/// The toolchain's recipe is new enough for the workspace.
fn toolchain(root: &Path, manifest: &str) -> Result<Option<String>> {
    let needed = assigned(manifest, "rust-version").context("Cargo.toml has no rust-version")?;
    let recipe = one_file(&root.join(LAYER).join("recipes-devtools/micrun-rust"), "micrun-rust-native_")?;
    let version = recipe.trim_start_matches("micrun-rust-native_").trim_end_matches(".bb");
    let enough = numbers(version) >= numbers(&needed);
    Ok(unless(enough, || format!("{recipe}: Cargo.toml needs Rust {needed}")))
}

/// What recipes have cargo build is in the lock file, and so is what it needs.
fn packages(root: &Path, lock: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in super::files(&root.join(LAYER))? {
        let Some(package) = fs::read_to_string(&file).ok().and_then(|text| assigned(&text, "MICRUN_PACKAGE"))
        else {
            continue;
        };
        let locked = lock.contains(&format!("name = \"{package}\"\n"));
        found.extend(unless(locked, || format!("{}: Cargo.lock has no {package:?}", file.display())));
    }
    Ok(found)
}

/// Every board that a machine is, and every recipe that a recipe of the layer names, is there and for that board.
fn boards(root: &Path, class: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let known = |board: &str| root.join(format!("board-configs/{board}.toml")).is_file();
    let boards: BTreeSet<&str> = flags(class, "MICRUN_BOARDS").map(|(_, board)| board).collect();
    for board in boards {
        found.extend(unless(known(board), || format!("micrun-board.bbclass: board-configs has no {board}")));
    }
    for file in super::files(&root.join(LAYER).join("recipes-firmware"))? {
        let text = fs::read_to_string(&file)?;
        for (board, _) in flags(&text, "MICRUN_HELLO_FEATURES") {
            found
                .extend(unless(known(board), || format!("{}: board-configs has no {board}", file.display())));
        }
        let Some(recipe) = assigned(&text, "MICRUN_FIRMWARE_RECIPE") else { continue };
        let recipe = recipe.replace("${S}", "");
        let there = root.join(recipe.trim_start_matches('/')).is_file();
        found.extend(unless(there, || format!("{}: there is no {recipe}", file.display())));
    }
    Ok(found)
}

/// The value of the first `NAME = "value"` in a recipe or a TOML file.
fn assigned(recipe: &str, name: &str) -> Option<String> {
    recipe.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
        Some(value.trim_end_matches('"').to_owned())
    })
}

/// Flag and value of every `NAME[flag] = "value"`.
fn flags<'a>(recipe: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    recipe.lines().filter_map(move |line| {
        let (flag, value) = line.strip_prefix(name)?.strip_prefix('[')?.split_once("] = \"")?;
        Some((flag, value.trim_end_matches('"')))
    })
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|number| number.parse().ok()).collect()
}

fn one_file(directory: &Path, prefix: &str) -> Result<String> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            return Ok(name);
        }
    }
    anyhow::bail!("{}: has no {prefix}*", directory.display())
}

fn unless(holds: bool, complaint: impl FnOnce() -> String) -> Option<String> {
    (!holds).then(complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_of_this_repository_agrees_with_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(contradictions(&root).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn assignments_are_found_by_their_whole_name() {
        assert_eq!(assigned("PVX = \"1\"\nPV = \"0.1.0\"\n", "PV").as_deref(), Some("0.1.0"));
        assert_eq!(assigned("# PV = \"1\"\nPV ?= \"2\"\n", "PV"), None);
    }

    #[test]
    fn flags_are_found_with_their_values() {
        let recipe = "MICRUN_BOARDS[hieulerpi1] = \"hieulerpi\"\nMICRUN_BOARD ?= \"x\"\n";
        assert_eq!(flags(recipe, "MICRUN_BOARDS").collect::<Vec<_>>(), [("hieulerpi1", "hieulerpi")]);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.95.0") > numbers("1.88"));
        assert!(numbers("1.9.0") < numbers("1.88"));
    }
}
