//! Under what conditions a group ran: a number without them can't be compared with anything.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result};

use crate::sh;

/// One line about date, versions and machine. No name of the machine, no path.
///
/// # Errors
/// `/proc` or `date` does not answer.
pub(super) fn now(qemu: Option<&Path>) -> Result<String> {
    let date = sh::read(Command::new("date").args(["-u", "+%F"]))?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().context("/proc/loadavg is empty")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = available_parallelism()?;
    let mut words = vec![date.trim().to_owned(), concat!("micrun ", env!("CARGO_PKG_VERSION")).to_owned()];
    words.extend(versions(qemu));
    words.push(format!("Linux {}", kernel.trim()));
    words.push(format!("{cores} cores{}", model().map(|name| format!(" ({name})")).unwrap_or_default()));
    words.push(format!("load {load} at the start"));
    Ok(words.join(", "))
}

/// Versions of the programs that take part. One that is not installed takes no part.
fn versions(qemu: Option<&Path>) -> Vec<String> {
    let ask = |name: &str, program: &Path, argument: &str| {
        let text = sh::read(sh::command(program).arg(argument)).ok()?;
        Some(format!("{name} {}", version(&text)?))
    };
    let programs = [("containerd", Path::new("containerd")), ("runc", Path::new("runc"))];
    let programs = programs.into_iter().chain(qemu.map(|program| ("QEMU", program)));
    programs.filter_map(|(name, program)| ask(name, program, "--version")).collect()
}

/// The first word that looks like a version: `1.6.20~ds1`, `v2.1.3`.
fn version(text: &str) -> Option<&str> {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    text.split_whitespace().map(|word| word.trim_start_matches('v')).find(is_version)
}

/// The processor's name; Arm kernels do not tell one.
fn model() -> Option<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let said = "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3";
        assert_eq!(version(said), Some("1.6.20~ds1"));
        assert_eq!(version("containerd github.com/containerd/containerd v2.1.3 c787fb9"), Some("2.1.3"));
        assert_eq!(version("runc version 1.1.5+ds1\ncommit: 1.1.5"), Some("1.1.5+ds1"));
        assert_eq!(version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), Some("7.2.22"));
        assert_eq!(version("no version"), None);
    }
}
