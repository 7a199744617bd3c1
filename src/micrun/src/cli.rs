//! The binary called as `micrun`: what a person asks.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::check;
use crate::config::{Config, FILE, RuntimeOptions};

/// Under this name the binary is for people.
pub const NAME: &str = "micrun";
/// Where containerd keeps bundles, unless its configuration names another state directory.
const STATE: &str = "/run/containerd";
/// Below it, one directory per namespace.
const BUNDLES: &str = "io.containerd.runtime.v2.task";
const USAGE: &str = "\
Usage: micrun config show [--namespace NAME] [--state DIRECTORY] [ID]

Prints what a container was made with: each key, its value, and who says so. Without ID: what the node says.
  --namespace NAME    containerd's namespace; without it all are searched
  --state DIRECTORY   containerd's state directory, /run/containerd unless its configuration says otherwise
";

/// Answers; one line on standard error if there is no answer.
pub fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.collect();
    let answer = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["config", "show", rest @ ..] => show(rest).map(|text| (text, true)),
        ["check", rest @ ..] => check::check(rest),
        ["-h" | "--help" | "help"] => Ok((format!("{USAGE}{}", check::USAGE), true)),
        _ => Err(format!("{NAME} config show and {NAME} check are all there is; {NAME} --help")),
    };
    let said = answer.and_then(|(text, yes)| {
        let mut stdout = io::stdout();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| format!("stdout: {error}"))?;
        Ok(yes)
    });
    match said {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{NAME}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn show(words: &[&str]) -> Result<String, String> {
    let (mut namespace, mut state, mut id) = (None, STATE, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("option {word} needs a value"));
        match *word {
            "--namespace" | "-n" => namespace = Some(value()?),
            "--state" => state = value()?,
            word if word.starts_with('-') || id.is_some() => {
                return Err(format!("{word:?} is one word too many"));
            }
            word => id = Some(word),
        }
    }
    match id {
        None => of_node(),
        Some(id) => of_container(&Path::new(state).join(BUNDLES), namespace, id),
    }
}

/// What a container without image and annotations would get.
fn of_node() -> Result<String, String> {
    let config = Config::of_node(&RuntimeOptions::default()).map_err(|error| error.to_string())?;
    for warning in &config.warnings {
        eprintln!("{NAME}: {warning}");
    }
    Ok(config.listing())
}

fn of_container(bundles: &Path, namespace: Option<&str>, id: &str) -> Result<String, String> {
    let plain = |name: &str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    for (what, name) in [("id", Some(id)), ("namespace", namespace)] {
        if let Some(name) = name.filter(|name| !plain(name)) {
            return Err(format!("{what} is {name:?}, it must be a plain name"));
        }
    }
    let namespaces = match namespace {
        Some(namespace) => vec![bundles.join(namespace)],
        None => directories(bundles)?,
    };
    let found: Vec<PathBuf> =
        namespaces.into_iter().map(|dir| dir.join(id)).filter(|bundle| bundle.is_dir()).collect();
    match found.as_slice() {
        [] => Err(format!("container {id:?} has no bundle in {}", bundles.display())),
        [bundle] => std::fs::read_to_string(bundle.join(FILE)).map_err(|error| {
            format!("{}: {error}: it is no firmware's container", bundle.join(FILE).display())
        }),
        _ => Err(format!("there are {} containers {id:?}: say --namespace", found.len())),
    }
}

fn directories(path: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_by_its_id() {
        let state = tempfile::tempdir().expect("a directory");
        let bundles = state.path().join(BUNDLES);
        for (namespace, text) in [("default", Some("one")), ("k8s.io", None), ("other", None)] {
            std::fs::create_dir_all(bundles.join(namespace).join("c")).expect("made");
            if let Some(text) = text {
                std::fs::write(bundles.join(namespace).join("c").join(FILE), text).expect("written");
            }
        }
        std::fs::create_dir_all(bundles.join("default/only")).expect("made");
        let path = state.path().to_str().expect("utf-8");
        let ask = |words: &[&str]| show(&[&["--state", path], words].concat());
        assert_eq!(ask(&["--namespace", "default", "c"]), Ok("one".to_owned()));
        assert_eq!(ask(&["c"]), Err("there are 3 containers \"c\": say --namespace".to_owned()));
        let missing = format!("container \"x\" has no bundle in {}", bundles.display());
        assert_eq!(ask(&["x"]), Err(missing));
        assert!(ask(&["only"]).expect_err("no file").ends_with("it is no firmware's container"));
        assert_eq!(ask(&["../c"]), Err("id is \"../c\", it must be a plain name".to_owned()));
        assert_eq!(ask(&["c", "d"]), Err("\"d\" is one word too many".to_owned()));
        assert_eq!(ask(&["--namespace"]), Err("option --namespace needs a value".to_owned()));
    }
}
