//! A core of Linux's `remoteproc`, as user space sees it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qemu_tests::wait_for;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// For what must happen.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The node's name.
const NAME: &str = "remoteproc-cpu3";
const CLASS: &str = "/sys/class/remoteproc";
const FIRMWARE: &str = "/lib/firmware";
const TTY: &str = "/dev/ttyRPMSG0";
const TTY_DEVICE: &str = "/sys/class/tty/ttyRPMSG0/device";

/// The core, driven by a loaded `psci_rproc`. Its firmware file is gone after it.
pub struct Rproc {
    directory: PathBuf,
    firmware: String,
}

impl Rproc {
    /// Finds the core by its name.
    pub fn find() -> Result<Rproc> {
        for entry in fs::read_dir(CLASS).context(CLASS)? {
            let directory = entry?.path();
            if read(&directory.join("name"))? == NAME {
                return Ok(Rproc { directory, firmware: format!("amp-{}.elf", std::process::id()) });
            }
        }
        anyhow::bail!("{CLASS} has no {NAME}")
    }

    /// Says which file is loaded at the next start.
    pub fn set_firmware(&self, bytes: &[u8]) -> Result<()> {
        fs::write(Path::new(FIRMWARE).join(&self.firmware), bytes)?;
        self.write("firmware", &self.firmware).context("firmware")
    }

    /// One write, as all attributes want it.
    pub fn write(&self, attribute: &str, word: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.directory.join(attribute))?;
        file.write_all(word.as_bytes())
    }

    pub fn start(&self) -> io::Result<()> {
        self.write("state", "start")
    }

    pub fn stop(&self) -> io::Result<()> {
        self.write("state", "stop")
    }

    pub fn state(&self) -> Result<String> {
        read(&self.directory.join("state"))
    }

    /// Waits until `state` is this.
    pub fn expect(&self, state: &str) -> Result<()> {
        wait_for(state, DEADLINE, || (self.state().ok()? == state).then_some(()))
            .with_context(|| format!("state {:?}", self.state()))
    }
}

impl Drop for Rproc {
    fn drop(&mut self) {
        // Of a test that fails; the suite says what cannot be unloaded.
        if self.state().is_ok_and(|state| state == "running") {
            let _ = self.stop();
        }
        let _ = fs::remove_file(Path::new(FIRMWARE).join(&self.firmware));
    }
}

/// The firmware's console as Linux's `rpmsg_tty` shows it.
pub struct Tty {
    file: File,
    said: Vec<u8>,
}

impl Tty {
    /// Waits for the console and opens it, raw.
    ///
    /// `rpmsg_tty` shows a terminal a moment before it can be written to, and who is faster takes Linux down. Binding its
    /// channel once more is refused, but only when the driver has it whole.
    pub fn open() -> Result<Tty> {
        wait_for(TTY, DEADLINE, || Path::new(TTY).exists().then_some(()))?;
        let channel = fs::canonicalize(TTY_DEVICE).context(TTY_DEVICE)?;
        let name = channel.file_name().unwrap_or_default();
        ensure!(fs::write(channel.join("driver/bind"), name.as_encoded_bytes()).is_err(), "bound twice");
        let mut options = OpenOptions::new();
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        options.read(true).write(true).custom_flags(flags.bits().cast_signed());
        let file = options.open(TTY).context(TTY)?;
        let mut settings = tcgetattr(&file)?;
        settings.make_raw();
        tcsetattr(&file, OptionalActions::Now, &settings)?;
        Ok(Tty { file, said: Vec::new() })
    }

    pub fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.file.write_all(bytes)?)
    }

    /// Waits until the firmware has said `text` after what was waited for before.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let at = self.said.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = at {
                self.said.drain(..at + text.len());
                return Ok(());
            }
            ensure!(begun.elapsed() < DEADLINE, "no {text:?} in {:?}", String::from_utf8_lossy(&self.said));
            self.listen()?;
        }
    }

    fn listen(&mut self) -> Result<()> {
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
        let mut bytes = [0; 4096];
        match self.file.read(&mut bytes) {
            Ok(len) => self.said.extend(&bytes[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context(TTY),
        }
        Ok(())
    }
}

/// Whether there is a console.
pub fn has_tty() -> bool {
    Path::new(TTY).exists()
}

fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.trim_end().to_owned())
}
