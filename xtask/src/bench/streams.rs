//! Standard streams of a container: FIFOs, with this program at the other ends.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

/// How long the other side may be silent.
const DEADLINE: Duration = Duration::from_secs(60);

/// Our ends.
pub(super) struct Streams {
    pub(super) stdin: PathBuf,
    pub(super) stdout: PathBuf,
    pub(super) stderr: PathBuf,
    input: File,
    output: File,
    /// Never read. An RTOS has one console, and busybox has nothing to complain about.
    _errors: OwnedFd,
}

impl Streams {
    /// Makes the FIFOs in `directory`.
    ///
    /// # Errors
    /// They are there already, or can't be made.
    pub(super) fn make(directory: &Path) -> Result<Self> {
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| directory.join(name));
        let (input, output, errors) = (fifo(&stdin)?.into(), fifo(&stdout)?.into(), fifo(&stderr)?);
        Ok(Self { stdin, stdout, stderr, input, output, _errors: errors })
    }

    /// Types.
    ///
    /// # Errors
    /// The FIFO is full: more than 64 KiB wait to be read.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.input.write_all(bytes)?)
    }

    /// Some bytes of output, at least one.
    ///
    /// # Errors
    /// None has come by the deadline.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        loop {
            readable(&self.output, DEADLINE)?;
            match self.output.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Ok(read?),
            }
        }
    }

    /// Reads on until the output ends in `text`.
    ///
    /// # Errors
    /// The output stops before.
    pub(super) fn expect(&mut self, text: &str) -> Result<()> {
        let (mut said, mut piece) = (Vec::new(), [0; 4096]);
        while !said.ends_with(text.as_bytes()) {
            let len = self.read(&mut piece).with_context(|| format!("waiting for {text:?}"))?;
            said.extend_from_slice(&piece[..len]);
        }
        Ok(())
    }
}

/// A new FIFO, open for both directions: neither side's coming and going is an error or an end to the other.
///
/// # Errors
/// It is there already, or can't be made.
pub(super) fn fifo(path: &Path) -> Result<OwnedFd> {
    let made = mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    let opened =
        made.and_then(|()| open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()));
    opened.with_context(|| path.display().to_string())
}

/// Waits until `descriptor` can be read from, or its process has ended.
///
/// # Errors
/// It can't by `deadline`.
pub(crate) fn readable(descriptor: impl AsFd, deadline: Duration) -> Result<()> {
    let timeout = Timespec::try_from(deadline)?;
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    if poll(&mut polled, Some(&timeout))? == 0 {
        bail!("nothing within {deadline:?}");
    }
    Ok(())
}
