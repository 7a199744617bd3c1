//! What `/proc` tells about the processes of the machine.

use std::fs;
use std::path::{Path, PathBuf};

/// One process, at the moment when it was looked at.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id; 1 for an orphan.
    pub parent: u32,
    /// File name of its program. A process that has ended keeps the kernel's name, cut to 15 bytes.
    pub name: String,
    /// Its arguments, separated by spaces; empty once it has ended.
    pub arguments: String,
    environment: Vec<u8>,
    links: Vec<PathBuf>,
}

impl Process {
    /// Every process except this one.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id()).filter_map(Self::read).collect()
    }

    /// What `/proc` says about `pid`; `None` if it is gone. What this user may not see counts as empty.
    fn read(pid: u32) -> Option<Self> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(directory.join("stat")).ok()?;
        let (kernel_name, parent) = parse_stat(&stat)?;
        let program = fs::read_link(directory.join("exe")).ok();
        let arguments = fs::read(directory.join("cmdline")).unwrap_or_default();
        Some(Self {
            pid,
            parent,
            name: program.as_deref().and_then(file_name).unwrap_or(kernel_name),
            arguments: String::from_utf8_lossy(&arguments).replace('\0', " ").trim_end().to_owned(),
            environment: fs::read(directory.join("environ")).unwrap_or_default(),
            links: links(&directory),
        })
    }

    /// Whether arguments, environment, working directory, program or open files name something that contains
    /// `text`.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let environment = String::from_utf8_lossy(&self.environment);
        self.arguments.contains(text) || environment.contains(text) || self.holds(text)
    }

    /// Whether an open file, the working directory or the program has a name that contains `text`.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.links.iter().any(|link| link.to_string_lossy().contains(text))
    }
}

/// Name and parent out of `pid (name) state ppid ...`; the name itself may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(String, u32)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let parent = tail.split_whitespace().nth(1)?.parse().ok()?;
    Some((name.to_owned(), parent))
}

/// A program that was deleted or replaced while it runs has " (deleted)" behind its name.
fn file_name(program: &Path) -> Option<String> {
    let name = program.file_name()?.to_str()?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

fn links(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    let others = ["cwd", "exe", "root"].map(|name| directory.join(name));
    files.chain(others).filter_map(|link| fs::read_link(link).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_kept_whole() {
        let stat = "12 (a) b (c) S 7 12 12 0 -1";
        assert_eq!(parse_stat(stat), Some(("a) b (c".to_owned(), 7)));
    }

    #[test]
    fn a_cut_line_is_no_process() {
        assert_eq!(parse_stat("12 (name"), None);
        assert_eq!(parse_stat("12 (name) S"), None);
    }

    #[test]
    fn a_replaced_program_keeps_its_name() {
        assert_eq!(file_name(Path::new("/usr/bin/qemu (deleted)")).as_deref(), Some("qemu"));
    }
}
