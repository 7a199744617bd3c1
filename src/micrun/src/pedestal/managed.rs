//! A core that somebody else drives and whose rings somebody else owns: Linux's remoteproc, openEuler's micad.
//!
//! What is left to us is a device for the console, an orderly and a forced stop, and the news of the end. Any of it may
//! block for up to a minute, so a [`Manager`] is called on a thread of the container's own, and the reactor hears of
//! what came of it by a descriptor.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Control, Death, Held, MachineError};
use crate::channel::Device;
use crate::queue::{Receiver, Sender, channel};
use crate::sys;

/// A core that ends without a word is noticed this soon.
const LOOK: Duration = Duration::from_secs(1);
/// A console that is not there yet is looked for at first this often, then half as often each time, down to [`LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// Whoever drives a core for us. Every call may block, for at most a minute.
pub trait Manager: Send + Sync {
    /// Starts the core, unless `give_up` says that it is not wanted any more. On an error nothing of it is left.
    fn start(&self, give_up: &dyn Fn() -> bool) -> Result<(), MachineError>;
    /// Opens the console; `None` while it has none. It may go away and come back later.
    fn console(&self) -> Result<Option<Device>, MachineError>;
    /// How the core ended; `None` while it runs. What it left behind is cleaned up by then.
    fn death(&self) -> Option<Death>;
    /// Ends the core and gives back how it ended: in an orderly way, until `at_once` says that there is no time for that.
    fn stop(&self, at_once: &dyn Fn() -> bool) -> Result<Death, MachineError>;
    /// Readable when there may be something new to look at; [`Manager::death`] makes it unreadable again.
    fn hint(&self) -> Option<BorrowedFd<'_>>;
    /// What requests can do to it while it runs.
    fn control(&self) -> Option<Arc<dyn Control>>;
    /// How another process ends the core, when this one was killed. Known before it starts.
    fn held(&self) -> Held;
}

/// What the thread has to tell.
#[derive(Debug)]
pub enum News {
    /// The console can be used now.
    Console(Device),
    /// The core has ended; the last news.
    Ended(Death),
}

/// A running core of a [`Manager`], and the thread that speaks with it. Dropping it ends the core, and waits for that.
pub struct Managed {
    manager: Arc<dyn Manager>,
    orders: Arc<Orders>,
    told: Receiver<News>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is to do, and the bells of both sides.
struct Orders {
    stop: AtomicBool,
    at_once: AtomicBool,
    console: AtomicBool,
    /// Rings for the thread.
    bell: EventFd,
    /// Rings for the reactor.
    news: EventFd,
}

impl Managed {
    /// Starts the core, and the thread.
    pub(super) fn start(
        manager: Arc<dyn Manager>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Managed, MachineError> {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let events = event().and_then(|bell| Ok((bell, event()?)));
        let (bell, news) = events.map_err(MachineError::system("eventfd"))?;
        let off = AtomicBool::default;
        let orders = Arc::new(Orders { stop: off(), at_once: off(), console: true.into(), bell, news });
        let (tell, told) = channel();
        manager.start(give_up)?;
        let (watched, ordered) = (manager.clone(), orders.clone());
        let spawned = sys::spawn("manager", move || {
            work(&*watched, &ordered, &tell);
        });
        let mut managed = Managed { manager, orders, told, thread: None };
        managed.thread = Some(spawned.map_err(|source| {
            // Without a thread to ask for it.
            let _ = managed.manager.stop(&|| true);
            MachineError::System { what: "thread", source }
        })?);
        Ok(managed)
    }

    /// Readable when there is news.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.orders.news.as_fd()
    }

    /// The next news, if there is any. Until there is none, the bell may stay silent.
    pub fn news(&self) -> Option<News> {
        // Fails only if it has not rung.
        let _ = self.orders.news.read();
        self.told.try_recv().ok()
    }

    /// Asks for another device, as the one there was has gone.
    pub fn want_console(&self) {
        self.orders.console.store(true, Ordering::Release);
        ring(&self.orders.bell);
    }

    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.orders.stop.store(true, Ordering::Release);
        ring(&self.orders.bell);
    }

    /// Asks for the end, whatever the core does.
    pub fn stop_at_once(&self) {
        self.orders.at_once.store(true, Ordering::Release);
        self.stop();
    }

    /// What requests can do to it.
    pub fn control(&self) -> Option<Arc<dyn Control>> {
        self.manager.control()
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        self.stop_at_once();
        if let Some(thread) = self.thread.take() {
            // It does not panic: that would have ended the process.
            let _ = thread.join();
        }
    }
}

fn ring(bell: &EventFd) {
    // Fails only when 2^64 rings are pending, and then one more changes nothing.
    let _ = bell.write(1);
}

/// Does what is ordered and tells what happens, until the core has ended.
fn work(manager: &dyn Manager, orders: &Orders, tell: &Sender<News>) {
    let tell = |news| {
        // Nobody listens when the container is given up; the core still has to end.
        let _ = tell.send(news);
        ring(&orders.news);
    };
    let mut look = FIRST_LOOK;
    loop {
        if let Some(death) = end(manager, orders) {
            return tell(News::Ended(death));
        }
        if orders.console.load(Ordering::Acquire) {
            if let Some(device) = console(manager) {
                orders.console.store(false, Ordering::Release);
                tell(News::Console(device));
            }
            wait(manager, orders, look);
            look = (look * 2).min(LOOK);
        } else {
            look = FIRST_LOOK;
            wait(manager, orders, LOOK);
        }
    }
}

/// The core's end, asked for or not.
fn end(manager: &dyn Manager, orders: &Orders) -> Option<Death> {
    // A core that has ended is not asked to.
    if let Some(death) = manager.death() {
        return Some(death);
    }
    if !orders.stop.swap(false, Ordering::AcqRel) {
        return None;
    }
    let at_once = || orders.at_once.load(Ordering::Acquire);
    match manager.stop(&at_once) {
        Ok(death) => Some(death),
        Err(error) if at_once() => {
            log::error!("{error}; the container is ended, but its core may still run");
            Some(Death::Lost)
        }
        Err(error) => {
            log::error!("{error}");
            None
        }
    }
}

fn console(manager: &dyn Manager) -> Option<Device> {
    manager.console().inspect_err(|error| log::warn!("console: {error}")).ok()?
}

/// Until the bell rings or there may be something to look at, at most `most`.
fn wait(manager: &dyn Manager, orders: &Orders, most: Duration) {
    let hint = manager.hint();
    let descriptors = [Some(orders.bell.as_fd()), hint];
    let mut waited: Vec<_> = descriptors
        .into_iter()
        .flatten()
        .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
        .collect();
    // An interrupted wait is a look too early.
    let _ = poll(&mut waited, PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
    // Fails only if it has not rung.
    let _ = orders.bell.read();
}
