//! Whether a core still runs, asked of whoever knows it without a question to micad: micad's own answer may stop an
//! instance, and it has no word for a crash (MICA ABI, section 3.9).

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::super::{Death, mcs};
use super::xl;

/// A question that costs a process is asked this often.
const RARELY: Duration = Duration::from_secs(3);
/// Where Jailhouse's kernel module tells of its cells.
const CELLS: &str = "/sys/devices/jailhouse/cells";

/// What was seen of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It executes.
    Running,
    /// It does not any more.
    Ended(Death),
    /// Nobody but micad can tell.
    Unknown,
}

/// Whom to ask.
pub(super) enum Probe {
    /// PSCI, through MICA's kernel module.
    Core { cpu: u32, device: Option<mcs::Device> },
    /// Jailhouse's kernel module, of the cell of that name.
    Cell(String),
    /// Xen's tool, now and then.
    Domain { name: String, next: Mutex<Instant> },
    /// Nobody.
    Nobody,
    #[cfg(test)]
    Told(std::sync::Arc<Mutex<Sight>>),
}

impl Probe {
    pub(super) fn core(cpu: u32) -> Probe {
        let device = mcs::Device::open();
        Probe::Core { cpu, device: device.inspect_err(|error| log::warn!("{error}; micad is asked")).ok() }
    }

    pub(super) fn domain(name: &str) -> Probe {
        Probe::Domain { name: name.to_owned(), next: Mutex::new(Instant::now() + RARELY) }
    }

    /// Looks now.
    pub(super) fn look(&self) -> Sight {
        match self {
            Probe::Core { cpu, device: Some(device) } => match device.is_off(*cpu) {
                Ok(false) => Sight::Running,
                Ok(true) => Sight::Ended(Death::PoweredOff),
                Err(_) => Sight::Unknown,
            },
            Probe::Cell(name) => cell(Path::new(CELLS), name),
            Probe::Domain { name, .. } => match xl::exists(name) {
                Ok(true) => Sight::Running,
                // Xen destroys a domain that has ended, whatever ended it.
                Ok(false) => Sight::Ended(Death::Lost),
                Err(_) => Sight::Unknown,
            },
            Probe::Core { .. } | Probe::Nobody => Sight::Unknown,
            #[cfg(test)]
            Probe::Told(sight) => *sight.lock().unwrap(),
        }
    }

    /// Looks, unless that is expensive and was done just now.
    pub(super) fn glance(&self) -> Sight {
        if let Probe::Domain { next, .. } = self {
            let (mut next, now) = (next.lock().unwrap(), Instant::now());
            if now < *next {
                return Sight::Running;
            }
            *next = now + RARELY;
        }
        self.look()
    }

    /// True if it tells that firmware which was told to power its core off has done so.
    pub(super) fn sees_power(&self) -> bool {
        match self {
            Probe::Core { device, .. } => device.is_some(),
            #[cfg(test)]
            Probe::Told(_) => true,
            _ => false,
        }
    }

    /// True if micad can go on with a core that it finds running.
    pub(super) fn can_be_readopted(&self) -> bool {
        self.sees_power()
    }
}

/// The state of a cell. Jailhouse has a word for one that did what it must not.
fn cell(cells: &Path, name: &str) -> Sight {
    let named = |cell: &PathBuf| read(&cell.join("name")) == name;
    let entries = std::fs::read_dir(cells).into_iter().flatten().flatten();
    let Some(cell) = entries.map(|entry| entry.path()).find(named) else { return Sight::Unknown };
    match &*read(&cell.join("state")) {
        "running" | "running/locked" => Sight::Running,
        "shut down" => Sight::Ended(Death::PoweredOff),
        "failed" => Sight::Ended(Death::Crashed),
        _ => Sight::Unknown,
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_tells_its_state() {
        let cells = tempfile::tempdir().expect("a directory");
        for (number, name) in [(0, "root"), (1, "zephyr")] {
            let cell = cells.path().join(number.to_string());
            std::fs::create_dir(&cell).expect("made");
            std::fs::write(cell.join("name"), format!("{name}\n")).expect("written");
        }
        for (state, sight) in [
            ("running\n", Sight::Running),
            ("shut down\n", Sight::Ended(Death::PoweredOff)),
            ("failed\n", Sight::Ended(Death::Crashed)),
            ("new word\n", Sight::Unknown),
        ] {
            std::fs::write(cells.path().join("1/state"), state).expect("written");
            assert_eq!(cell(cells.path(), "zephyr"), sight, "{state}");
        }
        assert_eq!(cell(cells.path(), "other"), Sight::Unknown);
        assert_eq!(cell(Path::new("/missing"), "zephyr"), Sight::Unknown);
    }
}
