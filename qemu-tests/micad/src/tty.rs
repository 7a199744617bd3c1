//! The tty service: a pseudo-terminal per endpoint, with a link to it.
//!
//! The slave stays open and as the kernel makes it: with echo and lines. Whoever opens it has to make it raw, and what the
//! RTOS prints before that comes back to it as input.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;

use crate::rtos::Rtos;

/// Links of the default build, for all instances together.
const NUMBERS: u32 = 10;
/// Bytes of what a user types that go into one message.
const MESSAGE: usize = 256;
/// How often a thread that waits for a terminal looks whether that is to go.
const LOOK: Duration = Duration::from_millis(20);

/// How the two builds call their links.
#[derive(Clone, Copy)]
pub(crate) enum Name<'a> {
    /// By number, the lowest that no instance of all has.
    Number { used: &'a [PathBuf] },
    /// By the instance's name.
    Of(&'a str),
}

/// One terminal. Dropping it closes it; the link stays, as it does when micad is killed.
pub(crate) struct Tty {
    pub(crate) link: PathBuf,
    open: Arc<AtomicBool>,
    _slave: OwnedFd,
}

impl Tty {
    /// Makes one for `rtos`. `notifier` is held while output is written: one thread has it for all of bare metal.
    pub(crate) fn open(
        directory: &Path,
        name: Name<'_>,
        rtos: &Arc<Rtos>,
        notifier: Arc<Mutex<()>>,
    ) -> io::Result<Tty> {
        // Not for the programs that a test starts: they would keep both ends open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags | OFlag::O_NONBLOCK)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname_r(&master)?;
        let slave = open(&*path, flags, Mode::empty())?;
        let link = place(directory, name).ok_or_else(|| io::Error::other("no number is free"))?;
        let _ = fs::remove_file(&link);
        symlink(&path, &link)?;
        let master = Arc::new(File::from(OwnedFd::from(master)));
        let alive = Arc::new(AtomicBool::new(true));
        let (output, still) = (master.clone(), alive.clone());
        rtos.connect(Some(Arc::new(move |printed| {
            let _turn = notifier.lock().unwrap();
            write(&output, &expanded(printed), &still);
        })));
        let (rtos, still) = (rtos.clone(), alive.clone());
        thread::spawn(move || read(&master, &rtos, &still));
        Ok(Tty { link, open: alive, _slave: slave })
    }

    /// The endpoint is destroyed in good order.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.link);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Release);
    }
}

/// Where the link is to be.
fn place(directory: &Path, name: Name<'_>) -> Option<PathBuf> {
    let name = match name {
        Name::Of(instance) => instance,
        Name::Number { used } => {
            let mut numbers = (0..NUMBERS).map(|number| directory.join(format!("ttyRPMSG{number}")));
            return numbers.find(|link| !used.contains(link));
        }
    };
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    Some(directory.join(format!("ttyRPMSG_{name}_0")))
}

/// Each line feed becomes two characters.
fn expanded(printed: &[u8]) -> Vec<u8> {
    printed.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect()
}

/// Writes all of it, however long nobody reads.
fn write(mut master: &File, mut bytes: &[u8], open: &AtomicBool) {
    while !bytes.is_empty() && open.load(Ordering::Acquire) {
        match master.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(master, PollFlags::POLLOUT),
            Err(_) => return,
        }
    }
}

/// Passes on what is typed.
fn read(mut master: &File, rtos: &Rtos, open: &AtomicBool) {
    let mut bytes = [0; MESSAGE];
    while open.load(Ordering::Acquire) {
        match master.read(&mut bytes) {
            Ok(len) if len > 0 => rtos.hear(bytes[..len].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(master, PollFlags::POLLIN),
            _ => return,
        }
    }
}

fn wait(master: &File, event: PollFlags) {
    let timeout = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    let _ = poll(&mut [PollFd::new(master.as_fd(), event)], timeout);
}
