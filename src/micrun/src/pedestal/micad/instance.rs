//! One instance of micad's, from its creation to its removal, whatever becomes of micad meanwhile.

use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::super::claim::Claim;
use super::super::{Death, Held, MachineError, Manager};
use super::client::{MicadError, Request};
use super::control::InstanceControl;
use super::message::Create;
use super::probe::{Probe, Sight};
use super::sockets::Sockets;
use super::status::{State, Status};
use super::xl;
use crate::channel::Device;
use firmware::client_conf::Pedestal;

/// What micad takes its time for, a Xen domain's start, is a matter of seconds; others may be before us.
const PATIENCE: Duration = Duration::from_secs(60);
/// A question that can be asked again is not waited for that long.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// How often micad is asked for the state where nobody else knows it.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);
/// micad's init system starts it again this soon, or it is taken as gone.
const RETURN_DEADLINE: Duration = Duration::from_secs(10);
/// Firmware that can power its core off has done so this soon.
const OFF_DEADLINE: Duration = Duration::from_secs(2);
/// What firmware printed before its end is on its way through micad; it goes with the instance.
const LAST_WORDS: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(20);

/// One life of micad, told by its socket for new instances: inode and time of its making.
type Life = (u64, i64, i64);

/// An instance that is, or is to be, micad's.
pub(super) struct Instance {
    pub(super) create: Create,
    pub(super) sockets: Sockets,
    pub(super) probe: Probe,
    /// The core is nobody else's meanwhile; micad does not look.
    pub(super) _claim: Option<Claim>,
    /// The micad that knows it.
    pub(super) life: Mutex<Option<Life>>,
    /// When micad may be asked for the state again.
    pub(super) next_status: Mutex<Instant>,
    pub(super) control: Arc<InstanceControl>,
}

impl Instance {
    fn life_now(&self) -> Option<Life> {
        let socket = std::fs::metadata(&self.sockets.create).ok()?;
        Some((socket.ino(), socket.ctime(), socket.ctime_nsec()))
    }

    /// Creates and starts it. A start that fails leaves an instance that cannot be started again, so it is removed.
    fn boot(&self, give_up: &dyn Fn() -> bool) -> Result<(), MachineError> {
        let message = self.create.encode()?;
        *self.life.lock().unwrap() = self.life_now();
        let marked = std::fs::write(&self.sockets.mark, []);
        marked.map_err(|source| MicadError::Absent { path: self.sockets.mark.clone(), source })?;
        let request = Request {
            socket: &self.sockets.create,
            name: "create",
            message: &message,
            patience: PATIENCE,
            give_up,
        };
        let booted = request.send().and_then(|_| {
            if give_up() {
                return Ok(String::new());
            }
            self.sockets.command("start", PATIENCE, give_up)
        });
        if booted.is_err() || give_up() {
            let removed = self.sockets.remove(PATIENCE, &|| false);
            removed.unwrap_or_else(|error| log::warn!("{error}"));
        }
        if give_up() { Err(MachineError::GivenUp) } else { Ok(booted.map(drop)?) }
    }

    fn status(&self) -> Result<Option<Status>, MicadError> {
        let line = self.sockets.command("status", STATUS_PATIENCE, &|| false)?;
        let status = Status::parse(&self.create.name, &line);
        if status.is_none() {
            log::warn!("micad's status names no state: {line:?}");
        }
        Ok(status)
    }

    /// Asks micad, which stops an instance whose firmware has said that it ends, and only that.
    fn death_by_status(&self) -> Option<Death> {
        let (mut next, now) = (self.next_status.lock().unwrap(), Instant::now());
        if now < *next {
            return None;
        }
        *next = now + STATUS_INTERVAL;
        match self.status() {
            Ok(Some(status)) if status.state != State::Running => Some(Death::PoweredOff),
            Ok(_) => None,
            // It may come back. Or it is slow.
            Err(MicadError::Absent { .. } | MicadError::Late { .. }) => None,
            Err(error) => {
                log::warn!("{error}");
                None
            }
        }
    }

    /// A domain that is gone: micad knows whether its firmware has said that it ends.
    fn explain(&self, death: Death) -> Death {
        if self.create.pedestal != Pedestal::Xen {
            return death;
        }
        match self.status() {
            Ok(Some(Status { state: State::Running, .. })) => Death::Crashed,
            Ok(Some(_)) => Death::PoweredOff,
            _ => death,
        }
    }

    /// Its socket is gone: micad is away, or back without it, or somebody else has removed the instance.
    fn vanished(&self) -> Option<Death> {
        let now = self.life_now()?;
        if *self.life.lock().unwrap() == Some(now) {
            log::error!("somebody else has removed the instance {} from micad", self.create.name);
            self.sockets.unmark();
            return Some(Death::Lost);
        }
        self.return_to_micad()
    }

    /// micad was restarted. A core that runs on is given back to it where it can take it; elsewhere its start would
    /// load the firmware anew, and nobody asked for that.
    fn return_to_micad(&self) -> Option<Death> {
        let name = &self.create.name;
        match self.probe.look() {
            Sight::Ended(death) => {
                log::error!("{name} has ended while micad was away");
                return Some(death);
            }
            Sight::Running if self.probe.can_be_readopted() => match self.boot(&|| false) {
                Ok(()) => {
                    log::warn!("micad was restarted, and has {name} again");
                    return None;
                }
                Err(error) => log::error!("micad was restarted, and does not take {name} again: {error}"),
            },
            _ if self.create.pedestal == Pedestal::Xen => {
                log::error!("micad was restarted and does not know {name} any more: its domain is destroyed");
                if let Err(error) = xl::command("destroy", name) {
                    log::error!("{error}");
                }
                return Some(Death::Lost);
            }
            _ => log::error!("micad was restarted and does not know {name} any more"),
        }
        log::error!("the core of {name} may still run");
        Some(Death::Lost)
    }

    /// Until the firmware has powered its core off; at most until somebody is in a hurry.
    fn wait_until_off(&self, over: &dyn Fn() -> bool) {
        while self.probe.sees_power() && self.probe.look() == Sight::Running && !over() {
            thread::sleep(LOOK);
        }
    }

    /// Ends it; waits for a micad that is away.
    fn remove(&self) -> Result<Death, MachineError> {
        let until = Instant::now() + RETURN_DEADLINE;
        loop {
            let removed = if self.sockets.own.exists() {
                self.sockets.remove(PATIENCE, &|| false)
            } else if let Some(death) = self.vanished() {
                return Ok(death);
            } else {
                Err(MicadError::Away)
            };
            match removed {
                Ok(()) => return Ok(Death::PoweredOff),
                Err(MicadError::Absent { .. } | MicadError::Away) if Instant::now() < until => {
                    thread::sleep(LOOK);
                }
                Err(MicadError::Absent { .. } | MicadError::Away)
                    if self.create.pedestal == Pedestal::Xen =>
                {
                    xl::command("destroy", &self.create.name)?;
                    return Ok(Death::PoweredOff);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Manager for Instance {
    fn start(&self, give_up: &dyn Fn() -> bool) -> Result<(), MachineError> {
        if self.sockets.own.exists() {
            if !self.sockets.mark.exists() {
                return Err(MicadError::Foreign(self.create.name.clone()).into());
            }
            log::warn!(
                "micad still has an instance {} of an earlier container: it is removed",
                self.create.name
            );
            self.sockets.remove(PATIENCE, give_up)?;
        }
        self.boot(give_up)
    }

    fn console(&self) -> Result<Option<Device>, MachineError> {
        if !self.sockets.own.exists() {
            return Ok(None);
        }
        let console = match self.status() {
            Ok(status) => status.and_then(|status| status.console),
            Err(MicadError::Absent { .. } | MicadError::Late { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(path) = console else { return Ok(None) };
        match Device::terminal(&path) {
            Ok(device) => Ok(Some(device)),
            // Just gone again.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EIO | libc::ENXIO)) => {
                Ok(None)
            }
            Err(source) => Err(MachineError::Terminal { path: path.display().to_string(), source }),
        }
    }

    fn death(&self) -> Option<Death> {
        if !self.sockets.own.exists() {
            return self.vanished();
        }
        let death = match self.probe.glance() {
            Sight::Running => None,
            Sight::Ended(death) => Some(self.explain(death)),
            Sight::Unknown => self.death_by_status(),
        }?;
        thread::sleep(LAST_WORDS);
        if let Err(error) = self.sockets.remove(PATIENCE, &|| false) {
            log::warn!("{error}");
        }
        Some(death)
    }

    fn stop(&self, at_once: &dyn Fn() -> bool) -> Result<Death, MachineError> {
        if !at_once() && self.sockets.own.exists() {
            self.sockets.command("stop", PATIENCE, at_once)?;
            self.wait_until_off(at_once);
        }
        let death = self.remove()?;
        let until = Instant::now() + OFF_DEADLINE;
        self.wait_until_off(&|| Instant::now() >= until);
        if self.probe.sees_power() && self.probe.look() == Sight::Running {
            log::error!(
                "the firmware of {} does not power its core off, and micad cannot: it runs until the board is reset",
                self.create.name
            );
        }
        Ok(death)
    }

    fn hint(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn control(&self) -> Option<Arc<dyn super::super::Control>> {
        Some(self.control.clone())
    }

    fn held(&self) -> Held {
        Held::Micad { name: self.create.name.clone(), xen: self.create.pedestal == Pedestal::Xen }
    }
}
