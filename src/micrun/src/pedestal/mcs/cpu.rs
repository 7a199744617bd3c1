//! A CPU as Linux has it: whether it is online, and taking it offline and back.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Where Linux shows them.
const DIR: &str = "/sys/devices/system/cpu";

/// The last CPU there is: the one that Linux misses least.
pub(super) fn last() -> io::Result<u32> {
    let present = Path::new(DIR).join("present");
    let list = std::fs::read_to_string(&present)?;
    let number = list.trim_end().rsplit(['-', ',']).next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("{} is {list:?}", present.display())))
}

/// One CPU.
#[derive(Debug)]
pub(super) struct LinuxCpu {
    file: PathBuf,
}

impl LinuxCpu {
    /// The CPU of that number.
    pub(super) fn new(number: u32) -> LinuxCpu {
        LinuxCpu::below(Path::new(DIR), number)
    }

    fn below(dir: &Path, number: u32) -> LinuxCpu {
        LinuxCpu { file: dir.join(format!("cpu{number}")).join("online") }
    }

    /// True if Linux runs on it.
    pub(super) fn is_online(&self) -> io::Result<bool> {
        let mut word = [0];
        let len = self.open(OpenOptions::new().read(true))?.read(&mut word)?;
        Ok(word[..len] == *b"1")
    }

    /// Takes it from Linux, or gives it back. Returns when that is done.
    pub(super) fn set_online(&self, online: bool) -> io::Result<()> {
        let word: &[u8] = if online { b"1" } else { b"0" };
        let mut file = self.open(OpenOptions::new().write(true))?;
        loop {
            match file.write(word) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.named(&error)),
            }
        }
    }

    fn open(&self, options: &OpenOptions) -> io::Result<File> {
        options.open(&self.file).map_err(|error| self.named(&error))
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_goes_and_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("cpu3")).expect("made");
        let file = dir.path().join("cpu3/online");
        std::fs::write(&file, "1\n").expect("written");
        let cpu = LinuxCpu::below(dir.path(), 3);
        assert!(cpu.is_online().expect("readable"));
        cpu.set_online(false).expect("writable");
        assert!(!cpu.is_online().expect("readable"));
        cpu.set_online(true).expect("writable");
        assert!(cpu.is_online().expect("readable"));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        let error = LinuxCpu::new(4711).is_online().expect_err("no such cpu").to_string();
        assert!(error.starts_with("/sys/devices/system/cpu/cpu4711/online: "), "{error}");
    }
}
