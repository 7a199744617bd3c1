//! `/sys/class/remoteproc`: the cores there are, and their attributes.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::error::RemoteprocError;

/// Begins the names of directories and devices.
const PREFIX: &str = "remoteproc";
/// More than an attribute has.
const LIMIT: u64 = 4096;

/// The attributes of one core.
pub(super) trait Attributes: Send + Sync {
    /// Reads one, without the end of its line.
    fn read(&self, name: &str) -> io::Result<String>;
    /// Writes one, and returns when the kernel has done what that means.
    fn write(&self, name: &str, word: &str) -> io::Result<()>;
}

/// A core's directory.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl Attributes for Directory {
    fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        File::open(self.0.join(name))?.take(LIMIT).read_to_string(&mut text)?;
        Ok(text.trim_end().to_owned())
    }

    fn write(&self, name: &str, word: &str) -> io::Result<()> {
        // Not made if it is missing, and written at once: each write is a command of its own.
        let mut file = OpenOptions::new().write(true).open(self.0.join(name))?;
        loop {
            match file.write(word.as_bytes()) {
                // A signal while it waited for the core's lock.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What Linux 6.1 says of a resource that it does not know, at the end of a table.
                Ok(len) if len < word.len() => return Err(ErrorKind::WriteZero.into()),
                written => return written.map(drop),
            }
        }
    }
}

/// The core that is called `wanted`, by its name or that of its directory or its number; the only one if nothing is wanted.
pub(super) fn find(class: &Path, wanted: Option<&str>) -> Result<PathBuf, RemoteprocError> {
    let cores = cores(class);
    let is_wanted = |(directory, name): &&(String, String)| {
        wanted.is_none_or(|wanted| {
            wanted == name || wanted == directory || Some(wanted) == directory.strip_prefix(PREFIX)
        })
    };
    // A name wins over a number.
    let named: Vec<_> = cores.iter().filter(|(_, name)| Some(name.as_str()) == wanted).collect();
    let found = if named.is_empty() { cores.iter().filter(is_wanted).collect() } else { named };
    let trouble = match found[..] {
        [(directory, _)] => return Ok(class.join(directory)),
        [] => "there is none",
        _ => "there are several",
    };
    let there: Vec<_> = cores.iter().map(|(directory, name)| format!("{directory} ({name})")).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let wanted = wanted.map_or_else(|| "that no annotation names".to_owned(), |wanted| format!("{wanted:?}"));
    Err(RemoteprocError::Core { wanted, trouble, there })
}

/// All cores: directory and name, in the order of their numbers.
fn cores(class: &Path) -> Vec<(String, String)> {
    let core = |number: u32| {
        let directory = format!("{PREFIX}{number}");
        let name = Directory(class.join(&directory)).read("name");
        // Before Linux 5.4 there are no names.
        (directory, name.unwrap_or_default())
    };
    numbered(class, PREFIX).into_iter().map(core).collect()
}

/// The numbers of the entries of a directory that are called `prefix` and a number, the lowest first.
pub(super) fn numbered(directory: &Path, prefix: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let number = |entry: io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()
    };
    let mut numbers = Vec::new();
    for number in entries.filter_map(number) {
        numbers.insert(numbers.partition_point(|earlier| *earlier < number), number);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (number, name) in names.iter().enumerate() {
            let core = dir.path().join(format!("remoteproc{number}"));
            std::fs::create_dir(&core).expect("made");
            std::fs::write(core.join("name"), format!("{name}\n")).expect("written");
        }
        dir
    }

    fn found(names: &[&str], wanted: Option<&str>) -> Result<String, String> {
        let dir = class(names);
        let found = find(dir.path(), wanted).map_err(|error| error.to_string())?;
        Ok(found.file_name().expect("a name").to_str().expect("text").to_owned())
    }

    #[test]
    fn a_core_is_found_by_name_directory_or_number() {
        let names = ["m4", "r5", "1"];
        assert_eq!(found(&names, Some("r5")), Ok("remoteproc1".into()));
        assert_eq!(found(&names, Some("remoteproc0")), Ok("remoteproc0".into()));
        assert_eq!(found(&names, Some("0")), Ok("remoteproc0".into()));
        // A name that looks like a number.
        assert_eq!(found(&names, Some("1")), Ok("remoteproc2".into()));
        assert_eq!(found(&["m4"], None), Ok("remoteproc0".into()));
    }

    #[test]
    fn a_choice_that_is_none_is_refused_with_all_there_are() {
        let there = "this system has remoteproc0 (m4), remoteproc1 (m4)";
        let error = format!("remote processor \"m4\": there are several; {there}");
        assert_eq!(found(&["m4", "m4"], Some("m4")), Err(error));
        let error = format!("remote processor that no annotation names: there are several; {there}");
        assert_eq!(found(&["m4", "m4"], None), Err(error));
        let error = "remote processor \"m7\": there is none; this system has none";
        assert_eq!(found(&[], Some("m7")), Err(error.into()));
        assert!(found(&["m4"], Some("../remoteproc0")).is_err());
    }
}
