//! A manager that manages nothing: plays firmware behind a pseudo-terminal, in a thread.
//!
//! For tests of everything above a [`Manager`], and for benchmarks. The firmware greets when it is started, echoes lines,
//! and obeys some: `exit`, `crash`, `away` (the terminal goes, another one comes), `stubborn` (asked to stop it does not),
//! `wedge` (not even when it is forced). It runs as long as its file is there, whichever process removes that.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

#[cfg(test)]
use super::Managed;
use super::{Control, Death, Held, MachineError, Manager};
use crate::channel::Device;
use crate::resources::CoreLimits;

const GREETING: &[u8] = b"fake manager\n";
/// How often it looks whether anybody waits.
const TICK: Duration = Duration::from_millis(1);

/// One fake core and its manager.
pub(super) struct FakeManager {
    file: PathBuf,
    core: Arc<Core>,
}

#[derive(Default)]
struct Core {
    /// The terminal's end that the console opens, and where that is.
    terminal: Mutex<Option<(File, PathBuf)>>,
    crashed: AtomicBool,
    stubborn: AtomicBool,
    wedged: AtomicBool,
}

impl FakeManager {
    pub(super) fn new() -> FakeManager {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("micrun-fake-manager-{}-{number}", std::process::id());
        FakeManager { file: std::env::temp_dir().join(name), core: Arc::default() }
    }

    fn runs(&self) -> bool {
        self.file.exists()
    }
}

/// A core that runs, and its file.
#[cfg(test)]
pub(crate) fn running() -> (Managed, PathBuf) {
    let manager = FakeManager::new();
    let file = manager.file.clone();
    (Managed::start(Arc::new(manager), &|| false).expect("a fake core starts"), file)
}

/// Ends the core whose file that is.
pub(crate) fn end(file: &Path) -> Result<(), MachineError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(MachineError::system("fake core")(error)),
        _ => Ok(()),
    }
}

/// A terminal for the core; gives the firmware's end.
fn open_terminal(core: &Core) -> Result<File, MachineError> {
    let pair = openpty(None, None).map_err(MachineError::system("openpty"))?;
    let path = ttyname(&pair.slave).map_err(MachineError::system("ttyname"))?;
    // From the beginning: a terminal that echoes until somebody opens it has the firmware talk with itself for ever.
    let mut raw = tcgetattr(&pair.slave).map_err(MachineError::system("tcgetattr"))?;
    cfmakeraw(&mut raw);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &raw).map_err(MachineError::system("tcsetattr"))?;
    *core.terminal.lock().unwrap() = Some((File::from(pair.slave), path));
    Ok(File::from(pair.master))
}

/// The firmware, until its file or its terminal is gone.
fn execute(file: &Path, core: &Core, mut console: File) {
    let mut line = Vec::new();
    let _ = console.write_all(GREETING);
    let mut byte = [0];
    while let Ok(1) = console.read(&mut byte) {
        line.push(byte[0]);
        if byte != *b"\n" {
            continue;
        }
        match &*line {
            b"exit\n" => drop(end(file)),
            b"crash\n" => {
                core.crashed.store(true, Ordering::Release);
                drop(end(file));
            }
            b"stubborn\n" => core.stubborn.store(true, Ordering::Release),
            b"wedge\n" => core.wedged.store(true, Ordering::Release),
            b"away\n" => {
                let Ok(other) = open_terminal(core) else { return };
                console = other;
            }
            _ => {}
        }
        let _ = console.write_all(&line);
        line.clear();
    }
}

impl Manager for FakeManager {
    fn start(&self, _: &dyn Fn() -> bool) -> Result<(), MachineError> {
        File::create(&self.file).map_err(MachineError::system("fake core"))?;
        let (file, core) = (self.file.clone(), self.core.clone());
        let console = open_terminal(&core)?;
        thread::spawn(move || execute(&file, &core, console));
        Ok(())
    }

    fn console(&self) -> Result<Option<Device>, MachineError> {
        let terminal = self.core.terminal.lock().unwrap();
        let path = terminal.as_ref().map(|(_, path)| path);
        path.map(|path| Device::terminal(path)).transpose().map_err(MachineError::system("fake terminal"))
    }

    fn death(&self) -> Option<Death> {
        let crashed = self.core.crashed.load(Ordering::Acquire);
        (!self.runs()).then_some(if crashed { Death::Crashed } else { Death::PoweredOff })
    }

    fn stop(&self, at_once: &dyn Fn() -> bool) -> Result<Death, MachineError> {
        while self.core.stubborn.load(Ordering::Acquire) && !at_once() {
            thread::sleep(TICK);
        }
        if self.core.wedged.load(Ordering::Acquire) {
            return Err(MachineError::Unsupported("the fake core is wedged"));
        }
        end(&self.file)?;
        Ok(Death::PoweredOff)
    }

    fn hint(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        Some(Arc::new(NoControl))
    }

    fn held(&self) -> Held {
        Held::Fake(self.file.clone())
    }
}

impl Drop for FakeManager {
    fn drop(&mut self) {
        // Without a terminal the firmware's thread ends.
        *self.core.terminal.lock().unwrap() = None;
        let _ = end(&self.file);
    }
}

/// There is nothing that could be done to it.
struct NoControl;

impl Control for NoControl {
    fn pause(&self) -> Result<(), MachineError> {
        Err(MachineError::Unsupported("a fake manager does not pause"))
    }

    fn resume(&self) -> Result<(), MachineError> {
        Err(MachineError::Unsupported("a fake manager does not resume"))
    }

    fn limit(&self, _: &CoreLimits) -> Result<(), MachineError> {
        Ok(())
    }

    fn memory(&self) -> u64 {
        0
    }
}
