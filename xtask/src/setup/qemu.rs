//! The emulators: the machine's own, and private copies of the two generations that micrun works with.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::private::{BACKPORTS, PrivateApt, STABLE, remove_if_there};
use crate::sh;

/// The emulator for 64-bit Arm.
const PROGRAM: &str = "qemu-system-aarch64";
/// Where it is, its firmware and data, and what they share.
const PACKAGES: [&str; 3] = ["qemu-system-arm", "qemu-system-common", "qemu-system-data"];

/// Major version of QEMU, the suite that has it, the directory of its copy, and the variable that names another one.
pub(super) struct Generation {
    major: u32,
    suite: &'static str,
    directory: &'static str,
    variable: &'static str,
}

/// Debian 12's own.
pub(super) const GENERATION_7: Generation =
    Generation { major: 7, suite: STABLE, directory: "qemu-7.2", variable: "MICRUN_QEMU_7" };
/// Debian 13's, built for Debian 12.
pub(super) const GENERATION_10: Generation =
    Generation { major: 10, suite: BACKPORTS, directory: "qemu-10", variable: "MICRUN_QEMU_10" };

/// The emulator that the caller names in `MICRUN_QEMU`, or that is installed; only if it can be run.
pub(super) fn of_the_machine() -> Option<PathBuf> {
    let named = env::var_os("MICRUN_QEMU").map(PathBuf::from).or_else(|| sh::find(PROGRAM).ok())?;
    sh::works(&named, &["--version"]).then_some(named)
}

impl Generation {
    /// The emulator that the caller names, or the private copy below `tools`, which is made if it is not there.
    ///
    /// # Errors
    /// The packages are not to be had, or what they hold does not run here.
    pub(super) fn copy(&self, tools: &Path) -> Result<PathBuf> {
        let named = env::var_os(self.variable).map(PathBuf::from);
        let program = named.unwrap_or_else(|| tools.join(self.directory).join(PROGRAM));
        if !self.runs(&program) {
            self.make(tools)?;
        }
        if !self.runs(&program) {
            bail!("{}: is not a QEMU {} that runs here", program.display(), self.major);
        }
        Ok(program)
    }

    fn runs(&self, program: &Path) -> bool {
        let version = sh::read(sh::command(program).arg("--version")).unwrap_or_default();
        version.starts_with(&format!("QEMU emulator version {}.", self.major))
    }

    fn make(&self, tools: &Path) -> Result<()> {
        let directory = tools.join(self.directory);
        println!("unpacking a private copy of QEMU {}", self.major);
        remove_if_there(&directory)?;
        let root = directory.join("root");
        PrivateApt::open(tools, &[STABLE, BACKPORTS])?.unpack(&PACKAGES, self.suite, &root)?;
        let wrapper = directory.join(PROGRAM);
        fs::write(&wrapper, script(&root)?).with_context(|| wrapper.display().to_string())?;
        Ok(fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?)
    }
}

/// Starts the emulator below `root` with the libraries below `root`. It finds its data from its own place.
fn script(root: &Path) -> Result<String> {
    let libraries = library_directories(root)?.join(":");
    let program = root.join("usr/bin").join(PROGRAM);
    let (libraries, program) = (quoted(&libraries), quoted(&program.to_string_lossy()));
    Ok(format!("#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {program} \"$@\"\n"))
}

/// Debian puts libraries into one directory per architecture, `lib/x86_64-linux-gnu` and the like.
fn library_directories(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for parent in ["lib", "usr/lib"].map(|name| root.join(name)).iter().filter(|path| path.is_dir()) {
        for entry in fs::read_dir(parent)? {
            let path = entry?.path();
            found.extend(path.to_str().filter(|name| name.ends_with("-linux-gnu")).map(str::to_owned));
        }
    }
    Ok(found)
}

/// One word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        let word = quoted("a b'c$d");
        let said = sh::read(sh::command("sh").args(["-c", &format!("printf %s {word}")]));
        assert_eq!(said.unwrap(), "a b'c$d");
    }

    #[test]
    fn the_script_names_both_library_directories() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/qemu"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let base = root.path().display();
        let libraries = format!("'{base}/lib/x86_64-linux-gnu:{base}/usr/lib/x86_64-linux-gnu'");
        let script = script(root.path()).unwrap();
        assert!(script.contains(&format!("LD_LIBRARY_PATH={libraries} exec '{base}/usr/bin/")), "{script}");
    }
}
