//! The `remoteproc` pedestal: cores that Linux drives, through `/sys/class/remoteproc`.
//!
//! Linux owns memory, rings and endpoints. Ours is the firmware's file while the container is there, and the core, which no
//! other container can have meanwhile. Linux tells nobody of a core's end, so it is asked now and then.

mod console;
mod driver;
mod error;
mod file;
mod sysfs;
#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::{Control, Death, Held, MachineError, Manager};
use crate::channel::Device;
use crate::queue::channel;
use crate::sys;
use console::Console;
use driver::{Driver, State};
pub use error::RemoteprocError;
use file::StoredFile;
use openamp::state::Report;
use sysfs::{Attributes, Directory};

/// Where the cores are.
const CLASS: &str = "/sys/class/remoteproc";
/// Linux waits up to a minute for a file that is nowhere.
const START_DEADLINE: Duration = Duration::from_secs(65);
/// How often it is asked whether the start is still wanted.
const START_LOOK: Duration = Duration::from_millis(20);
/// Recovery that hides a crash from us, and boots what was not asked for.
const NO_RECOVERY: &str = "disabled";

/// What has to be known to leave the core as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    file: StoredFile,
    /// What `recovery` said before.
    recovery: Option<String>,
}

/// A claimed core, and its firmware's file.
pub(super) struct Remoteproc {
    core: Arc<Core>,
    console: Console,
    owner: String,
}

struct Core {
    driver: Driver,
    note: Note,
    phase: Mutex<Phase>,
}

/// Where the core is in its life.
enum Phase {
    /// Ours: it is off, or runs, or is about to.
    Claimed(Claim),
    /// It has ended, or cannot be ended by us.
    Ended(Death),
}

/// Claims the core that is called `wanted` for `owner`, and stores `bytes` for it.
pub(super) fn load(wanted: Option<&str>, owner: &str, bytes: &[u8]) -> Result<Remoteproc, MachineError> {
    file::check(bytes)?;
    let place = sysfs::find(Path::new(CLASS), wanted)?;
    let name = name_of(&place);
    let console = Console::new(Path::new("/sys"), Path::new("/dev"), &place);
    let console = console.map_err(MachineError::system("the device of the remote processor"))?;
    let claim = Claim::take(&name, owner)?;
    let core = Core::new(driver(&name, Directory(place)), claim, &file::directory(), bytes)?;
    Ok(Remoteproc { core: Arc::new(core), console, owner: owner.to_owned() })
}

/// Ends what `owner` has left on the core of that name, if it is still his.
pub(super) fn end(name: &str, owner: &str) -> Result<(), MachineError> {
    let Some(claim) = Claim::take_left(name, owner)? else { return Ok(()) };
    let driver = driver(name, Directory(PathBuf::from(CLASS).join(name)));
    clean_up(&driver, &claim)?;
    claim.release();
    Ok(())
}

fn name_of(place: &Path) -> String {
    place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn driver(name: &str, attributes: impl Attributes + 'static) -> Driver {
    Driver { core: name.to_owned(), attributes: Box::new(attributes) }
}

/// Leaves the core as it was found before whoever has left it in use.
fn clean_up(driver: &Driver, claim: &Claim) -> Result<(), MachineError> {
    if let Some((_, note)) = claim.left::<Note>() {
        driver.stop()?;
        note.iter().for_each(|note| restore(driver, note));
    }
    Ok(())
}

/// What is not the core's state.
fn restore(driver: &Driver, note: &Note) {
    if let Some(word) = &note.recovery
        && let Err(error) = driver.set_recovery(word)
    {
        log::warn!("{error}");
    }
    note.file.remove();
}

impl Core {
    /// Checks that the core is free, and stores the file. On an error nothing is left.
    fn new(driver: Driver, mut claim: Claim, directory: &Path, bytes: &[u8]) -> Result<Core, MachineError> {
        clean_up(&driver, &claim)?;
        match driver.state()? {
            State::Offline => {}
            state => return Err(driver.in_use(state.as_str().to_owned()).into()),
        }
        let file = StoredFile::new(directory, &driver.core, bytes);
        let note = Note { file, recovery: driver.recovery() };
        // Noted first: whoever has the core after a process that was killed in here removes the file.
        claim.note(&note)?;
        if let Err(error) = note.file.store(bytes) {
            claim.release();
            return Err(error.into());
        }
        Ok(Core { driver, note, phase: Mutex::new(Phase::Claimed(claim)) })
    }

    fn start(&self) -> Result<(), RemoteprocError> {
        if self.note.recovery.is_some() {
            self.driver.set_recovery(NO_RECOVERY)?;
        }
        self.driver.start(self.note.file.name())
    }

    /// How the core ended, if it has. Then everything is as it was found, and the core anybody's.
    fn death(&self) -> Option<Death> {
        if let Phase::Ended(death) = *self.phase() {
            return Some(death);
        }
        let death = match self.driver.state() {
            Ok(State::Offline) => self.reported().unwrap_or(Death::PoweredOff),
            Ok(State::Crashed) => self.reported().unwrap_or(Death::Crashed),
            Ok(State::Running | State::Attached) => return None,
            Ok(State::Other(state)) => return Some(self.lose(&self.driver.in_use(state))),
            Err(error) => {
                log::error!("{error}");
                Death::Lost
            }
        };
        // Recovering it, as some kernels need for this, may boot it anew: what it said of its end was read before.
        let Err(error) = self.end(|| death) else { return Some(death) };
        self.lose(&error);
        Some(death)
    }

    /// What the firmware says of its end, where the core's driver tells (`psci_rproc` does); any end is a crash to Linux.
    fn reported(&self) -> Option<Death> {
        let text = self.driver.attributes.read("device/report").ok()?;
        let word = u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
        Some(match Report::decode(word) {
            Some(Report::Exit(status)) => Death::Exited(status),
            Some(Report::Fault(number)) => {
                log::error!("the firmware reports fault {number:#x}");
                Death::Crashed
            }
            None => Death::PoweredOff,
        })
    }

    /// Stops the core and leaves it as it was found; how it ended is looked at in between.
    fn end(&self, death: impl FnOnce() -> Death) -> Result<Death, RemoteprocError> {
        self.driver.stop()?;
        let death = death();
        restore(&self.driver, &self.note);
        if let Phase::Claimed(claim) = std::mem::replace(&mut *self.phase(), Phase::Ended(death)) {
            claim.release();
        }
        Ok(death)
    }

    /// Gives the core up as it is. What is noted of it stays, and the next one who wants it tries to end it.
    fn lose(&self, error: &RemoteprocError) -> Death {
        log::error!("{error}");
        *self.phase() = Phase::Ended(Death::Lost);
        Death::Lost
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap()
    }
}

impl Manager for Remoteproc {
    /// On a thread that may block for as long as Linux does. A start that nobody waits for any more ends with it, as then
    /// it has the last hand on the core.
    fn start(&self, give_up: &dyn Fn() -> bool) -> Result<(), MachineError> {
        let (done, result) = channel();
        let core = self.core.clone();
        let start = move || {
            let started = core.start();
            // Before it is told: whoever hears of a failure finds nothing left.
            drop(core);
            // Nobody listens when it was given up.
            let _ = done.send(started);
        };
        sys::spawn("remoteproc", start).map_err(MachineError::system("thread"))?;
        let begun = Instant::now();
        loop {
            match result.recv_timeout(START_LOOK) {
                Ok(started) => return Ok(started?),
                Err(_) if give_up() => return Err(MachineError::GivenUp),
                Err(_) if begun.elapsed() > START_DEADLINE => {
                    let whom = "linux, starting the remote processor";
                    return Err(MachineError::Timeout { whom, millis: START_DEADLINE.as_millis() });
                }
                Err(_) => {}
            }
        }
    }

    fn console(&self) -> Result<Option<Device>, MachineError> {
        self.console.open().map_err(MachineError::system("the console of the remote processor"))
    }

    fn death(&self) -> Option<Death> {
        self.core.death()
    }

    fn stop(&self, at_once: &dyn Fn() -> bool) -> Result<Death, MachineError> {
        let ended = self.core.end(|| self.core.reported().unwrap_or(Death::PoweredOff));
        if let Err(error) = &ended
            && at_once()
        {
            self.core.lose(error);
        }
        Ok(ended?)
    }

    fn hint(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        None
    }

    fn held(&self) -> Held {
        Held::Remoteproc { core: self.core.driver.core.clone(), owner: self.owner.clone() }
    }
}

impl Drop for Core {
    /// Of a container that was never started, or whose start failed.
    fn drop(&mut self) {
        let claimed = matches!(*self.phase(), Phase::Claimed(_));
        if claimed && let Err(error) = self.end(|| Death::Lost) {
            log::error!("{error}");
        }
    }
}
