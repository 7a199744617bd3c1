//! What a session needs of a running core, whoever owns the rings between them.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Instant;

use super::{Channel, DeviceChannel, Pumped};
use crate::console::Console;
use crate::pedestal::{Affinity, Attachment, Death};
use crate::reactor::Waker;
use crate::rpc::SharedFiles;
use openamp::Violation;
use openamp::state::Report;
use shmem::Fault;

/// A running core and the way to its console. Nothing blocks. What only rings of our own can tell has an answer for all
/// others.
pub trait Remote: Send {
    /// Readable when there may be something to do.
    fn doorbell(&self) -> BorrowedFd<'_>;
    /// The doorbell rang.
    fn rang(&self) {}
    /// True if rings may be missed, so that it is to be looked now and then whether there is something to do.
    fn misses_rings(&self) -> bool {
        false
    }
    /// Makes the doorbell unreadable until it rings again.
    fn silence(&mut self);
    /// Readable when the core has ended.
    fn end(&self) -> Option<BorrowedFd<'_>>;
    /// Readable when there is something that [`Remote::death`] takes note of; nothing else makes it unreadable.
    fn news(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Readable when there is something to do at a socket of the container.
    fn doors(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// How services on other threads say that there is something to do.
    fn wake_by(&mut self, _: Waker) {}
    /// When it wants a turn even if nothing happens.
    fn deadline(&self) -> Option<Instant>;
    /// Moves bytes in both directions until nothing more goes.
    fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation>;
    /// Calls of the firmware that are being carried out: they may still print.
    fn calls_under_way(&self) -> usize {
        0
    }
    /// Tells, once, of firmware that has taken its rings back.
    fn watch_reset(&mut self) {}
    /// Asks for an orderly end.
    fn request_power_off(&mut self) -> Result<(), Fault>;
    /// True if the firmware announced its end.
    fn powering_off(&self) -> bool {
        false
    }
    /// Asks whether the core is on; the answer comes by the doorbell.
    fn ask_affinity(&mut self) {}
    /// The answer to the last question, if it is here.
    fn affinity(&self) -> Option<Affinity> {
        None
    }
    /// Interrupts the firmware.
    fn kick(&self) {}
    /// What the firmware says of its end.
    fn report(&self) -> Option<Report> {
        None
    }
    /// How the core ended; `None` while it has not.
    fn death(&mut self) -> Option<Death>;
    /// Ends the core, whatever it does. [`Remote::end`] or [`Remote::news`] becomes readable.
    fn cut_power(&mut self);
}

/// The channel of a core that was just started. Its sockets are in `bundle`.
pub fn attach(attachment: Attachment, files: SharedFiles, bundle: &Path) -> nix::Result<Box<dyn Remote>> {
    Ok(match attachment {
        Attachment::Rings(link) => Box::new(Channel::new(*link, files, bundle)),
        Attachment::Managed(core) => Box::new(DeviceChannel::new(core)?),
    })
}

impl Remote for Channel {
    fn doorbell(&self) -> BorrowedFd<'_> {
        self.link.machine.doorbell()
    }

    fn rang(&self) {
        self.link.machine.rang();
    }

    fn misses_rings(&self) -> bool {
        self.link.machine.misses_rings()
    }

    fn silence(&mut self) {
        self.link.machine.silence();
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.link.machine.end()
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        self.link.machine.news()
    }

    fn doors(&self) -> Option<BorrowedFd<'_>> {
        Channel::doors(self)
    }

    fn wake_by(&mut self, waker: Waker) {
        Channel::wake_by(self, waker);
    }

    fn deadline(&self) -> Option<Instant> {
        Channel::deadline(self)
    }

    fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation> {
        Channel::pump(self, console)
    }

    fn calls_under_way(&self) -> usize {
        Channel::calls_under_way(self)
    }

    fn watch_reset(&mut self) {
        Channel::watch_reset(self);
    }

    fn request_power_off(&mut self) -> Result<(), Fault> {
        self.link.request_power_off()
    }

    fn powering_off(&self) -> bool {
        self.link.powering_off()
    }

    fn ask_affinity(&mut self) {
        self.link.machine.ask_affinity();
    }

    fn affinity(&self) -> Option<Affinity> {
        self.link.machine.affinity()
    }

    fn kick(&self) {
        self.link.machine.kick();
    }

    fn report(&self) -> Option<Report> {
        self.link.report()
    }

    fn death(&mut self) -> Option<Death> {
        self.link.machine.death()
    }

    fn cut_power(&mut self) {
        self.link.machine.cut_power();
    }
}
