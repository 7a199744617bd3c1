//! The guest's first file system, which the kernel unpacks into memory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cpio::newc;

use super::name;

const DIRECTORY: u32 = 0o04_0755;
const PROGRAM: u32 = 0o10_0755;
/// Where file systems are mounted, and where firmware goes.
const EMPTY: [&str; 7] = ["dev", "proc", "sys", "run", "tmp", "lib/firmware", "root"];

/// An archive to be.
pub(super) struct Initramfs {
    files: Vec<(String, Vec<u8>)>,
}

impl Initramfs {
    /// With `init` as its first program.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn new(init: &Path) -> Result<Self> {
        let mut archive = Self { files: Vec::new() };
        archive.add("/init", init)?;
        Ok(archive)
    }

    /// Puts a file to an absolute path.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn add(&mut self, path: &str, file: &Path) -> Result<()> {
        self.put(path, fs::read(file).with_context(|| file.display().to_string())?);
        Ok(())
    }

    /// Puts modules to where `init` and the tests look for them: `loaded` are loaded in this order, `others` later.
    ///
    /// # Errors
    /// One can't be read.
    pub(super) fn add_modules(&mut self, loaded: &[PathBuf], others: &[PathBuf]) -> Result<()> {
        for module in loaded.iter().chain(others) {
            self.add(&format!("/modules/{}", name(module)), module)?;
        }
        let order: String = loaded.iter().map(|module| name(module) + "\n").collect();
        self.put("/modules/order", order.into_bytes());
        Ok(())
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.push((path.trim_start_matches('/').to_owned(), bytes));
    }

    /// Writes the archive, not compressed: the emulated core is slow, and memory is there.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write(&self, to: &Path) -> Result<PathBuf> {
        let mut output = BufWriter::new(File::create(to)?);
        for directory in self.directories() {
            append(&mut output, &directory, DIRECTORY, &[])?;
        }
        for (path, bytes) in &self.files {
            append(&mut output, path, PROGRAM, bytes)?;
        }
        newc::trailer(output)?.flush()?;
        Ok(to.to_path_buf())
    }

    /// All that files and mounts need; each comes before what is in it.
    fn directories(&self) -> BTreeSet<String> {
        let files = self.files.iter().map(|(path, _)| Path::new(path).parent().unwrap_or(Path::new("")));
        let leaves = files.chain(EMPTY.iter().map(Path::new));
        let all = leaves.flat_map(Path::ancestors).map(|path| path.to_string_lossy().into_owned());
        all.filter(|path| !path.is_empty()).collect()
    }
}

fn append(output: &mut impl Write, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut writer = newc::Builder::new(path).mode(mode).write(output, u32::try_from(bytes.len())?);
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_before_what_is_in_it() {
        let files = vec![("a/b/c".to_owned(), Vec::new()), ("a/d".to_owned(), Vec::new())];
        let directories: Vec<_> = Initramfs { files }.directories().into_iter().collect();
        let a = directories.iter().position(|path| path == "a").unwrap();
        assert_eq!(directories[a + 1], "a/b");
        assert!(directories.contains(&"lib".to_owned()) && !directories.contains(&String::new()));
    }
}
