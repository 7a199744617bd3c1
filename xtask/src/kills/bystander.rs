//! The container that none of it is about: it runs all the time on an emulated core, and must not notice anything.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::{PROMPT, Testbed};

use super::victims::is_child_of;
use crate::bench::readable;

const ID: &str = "bystander";
/// An answer takes a millisecond.
const DEADLINE: Duration = Duration::from_secs(30);

/// The container, and both ends of its streams.
pub(super) struct Bystander {
    shim: u32,
    emulator: u32,
    input: File,
    output: File,
}

impl Bystander {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start, or does not greet.
    pub(super) fn start(bed: &Testbed) -> Result<Self> {
        let task = bed.detached(ID)?;
        let (input, output) = (open(&task.fifo("stdin")?)?, open(&task.fifo("stdout")?)?);
        let mut bystander = Self { shim: task.pid()?, emulator: task.emulator()?, input, output };
        // The first prompt may have gone to `ctr`, which reads until it ends.
        bystander.input.write_all(b"\r")?;
        bystander.expect(PROMPT)?;
        Ok(bystander)
    }

    /// Makes sure that it is the same and that it answers.
    ///
    /// # Errors
    /// It was disturbed.
    pub(super) fn check(&mut self, bed: &Testbed, word: &str) -> Result<()> {
        ensure!(is_child_of(self.emulator, self.shim), "the bystander's emulator has ended");
        let shim = bed.task(ID).pid()?;
        ensure!(shim == self.shim, "the bystander's shim is {shim}, it was {}", self.shim);
        self.input.write_all(format!("echo {word}\r").as_bytes())?;
        self.expect(&format!("\r\n{word}\r\n{PROMPT}")).context("the bystander's console")
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end orderly.
    pub(super) fn end(&self, bed: &Testbed) -> Result<()> {
        let status = bed.task(ID).end_by("SIGTERM")?;
        ensure!(status == 143, "the bystander's exit status is {status}");
        Ok(())
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        let (mut said, mut piece) = (Vec::new(), [0; 4096]);
        while !said.ends_with(text.as_bytes()) {
            readable(&self.output, DEADLINE)
                .with_context(|| format!("{text:?} after {:?}", String::from_utf8_lossy(&said)))?;
            match self.output.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => said.extend_from_slice(&piece[..read?]),
            }
        }
        Ok(())
    }
}

/// Both directions, so that the shim's coming and going is no end.
fn open(fifo: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let opened = File::options().read(true).write(true).custom_flags(flags.cast_signed()).open(fifo);
    opened.with_context(|| fifo.display().to_string())
}
