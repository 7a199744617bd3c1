//! The services of one remote, by the names of its endpoints: `rpmsg-tty` is the container's console, further ones have
//! sockets in the bundle, `rpmsg-rpc` calls for files, `rpmsg-umt` transfers in bulk. The debugger needs no endpoint. Where
//! somebody else owns the rings, there is a device for the console and nothing else ([`DeviceChannel`]).
//!
//! What has no service is told in the log and dropped. UniProton waits for the first message to `rpmsg-rpc` and to
//! `rpmsg-umt` before it starts anything, so these come as soon as there is room for them.

mod debugger;
mod device;
mod door;
mod managed;
mod output;
mod remote;
mod rpc;
mod services;
mod tty;
mod umt;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Instant;

use debugger::Debugger;
pub use device::Device;
use door::Doors;
pub use managed::DeviceChannel;
use output::{blocked, print};
pub use remote::{Remote, attach};
use rpc::RpcService;
use services::Services;

use crate::console::{Console, Read};
use crate::pedestal::baremetal::Link;
use crate::reactor::Waker;
use crate::rpc::SharedFiles;
use openamp::Violation;
use openamp::rpmsg::{EndpointId, Host, Incoming, PAYLOAD_LEN, SendError};
use shmem::Window;

/// Messages taken per turn and remote, so that one that floods does not starve the others.
const TURN: usize = 64;

/// What a turn left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pumped {
    /// There is more to do at once: the turn's share is used up.
    pub again: bool,
    /// A message came, or the remote consumed one.
    pub moved: bool,
    /// The remote owes us something: it has not consumed a message, or not said anything yet.
    pub owed: bool,
}

/// A running core and what is bound to its endpoints.
pub struct Channel {
    /// The core and its rings.
    pub link: Link,
    services: Services,
    debugger: Option<Debugger>,
    /// Messages that came so far.
    heard: u64,
    /// Messages that the remote had not consumed after the last turn.
    unconsumed: u16,
    /// We asked to be told when the remote consumes a message.
    wants_room: bool,
    /// It was told that the firmware has taken its rings back.
    reset_told: bool,
}

impl Channel {
    /// A channel over a link on which nothing was announced yet, but to an earlier host. Its sockets are in `bundle`.
    pub fn new(mut link: Link, files: SharedFiles, bundle: &Path) -> Channel {
        let doors = Doors::new(bundle).inspect_err(|error| log::error!("epoll: {error}; no sockets")).ok();
        let debugger = doors.as_ref().and_then(|doors| Debugger::open(&mut link, doors));
        let mut services = Services::new(files, doors, link.take_bulk());
        let kept = link.endpoints().try_for_each(|(endpoint, name)| services.kept(endpoint, name));
        kept.unwrap_or_else(|fault| log::error!("{fault}"));
        Channel { link, services, debugger, heard: 0, unconsumed: 0, wants_room: false, reset_told: false }
    }

    /// How services on other threads say that there is something to do.
    pub fn wake_by(&mut self, waker: Waker) {
        self.services.waker = Some(waker);
    }

    /// Readable when there is something to do at one of the sockets.
    pub fn doors(&self) -> Option<BorrowedFd<'_>> {
        self.services.doors.as_ref().map(Doors::pollable)
    }

    /// When it wants a turn even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.debugger.as_ref().and_then(Debugger::deadline)
    }

    /// Tells, once, of firmware that has taken its rings back and lives on. MICA has no answer to that: the state word
    /// alone says whether a core lives.
    pub fn watch_reset(&mut self) {
        if !self.reset_told && self.link.reset_by_remote() {
            self.reset_told = true;
            log::warn!("the firmware has reset its virtio device: it takes no part in messages any more");
        }
    }

    /// Calls of the remote that are being carried out: they may still print.
    pub fn calls_under_way(&self) -> usize {
        self.services.rpc.as_ref().map_or(0, |rpc| rpc.under_way)
    }

    fn rpc_is_full(&self) -> bool {
        self.services.rpc.as_ref().is_some_and(RpcService::is_full)
    }

    /// Moves bytes in both directions until nothing more goes.
    pub fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation> {
        let before = (self.heard, self.unconsumed);
        self.answer_doors();
        let output = self.pump_output(console)?;
        self.pump_greetings()?;
        let held_up = self.rpc_is_full();
        let mut answers = self.pump_rpc(console)?;
        // The messages that waited for an outcome are still in the ring, and nobody kicks for them again.
        answers |= held_up && !self.rpc_is_full();
        let input = self.pump_input(console)?;
        let typed = self.pump_side_ttys()?;
        let bulk = self.pump_umt()?;
        self.pump_debugger();
        self.unconsumed = self.link.with_host(|host, window| host.outstanding(window))?;
        let moved = before != (self.heard, self.unconsumed);
        Ok(Pumped {
            again: output || answers || input || typed || bulk,
            moved,
            owed: self.unconsumed > 0 || self.heard == 0,
        })
    }

    /// Moves what the remote has sent to standard output; true if there may be more.
    fn pump_output(&mut self, console: &mut Console) -> Result<bool, Violation> {
        let Channel { link, services, heard, .. } = self;
        link.with_host(|host, window| {
            let mut payload = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                // One ring carries everything: who does not take his messages holds up the others of his container.
                if blocked(console) || services.rpc.as_ref().is_some_and(RpcService::is_full) {
                    return Ok(false);
                }
                let Some(incoming) = host.receive(window, &mut payload)? else { return Ok(false) };
                *heard += 1;
                match incoming {
                    Incoming::Announced { name, addr } => services.announced(host, name, addr)?,
                    Incoming::Withdrawn(endpoint) => services.withdrawn(endpoint),
                    Incoming::Message { endpoint, len } => {
                        services.message(endpoint, &payload[..len], console)?;
                    }
                    other => log::debug!("dropped {other:?}"),
                }
            }
            Ok(true)
        })
    }

    /// Sends first messages as long as there is room.
    fn pump_greetings(&mut self) -> Result<(), Violation> {
        let Channel { link, services, wants_room, .. } = self;
        if services.greetings.is_empty() {
            return Ok(());
        }
        link.with_host(|host, window| {
            while has_room(host, window, wants_room)?
                && let Some((endpoint, greeting)) = services.greetings.pop()
            {
                send(host, window, endpoint, &greeting)?;
            }
            Ok(())
        })
    }

    /// Moves answers of the rpc service to the remote, and what it printed to standard output; true if there may be more.
    fn pump_rpc(&mut self, console: &mut Console) -> Result<bool, Violation> {
        let Channel { link, services, wants_room, .. } = self;
        let Some(rpc) = &mut services.rpc else { return Ok(false) };
        link.with_host(|host, window| {
            for _ in 0..TURN {
                if blocked(console) || !has_room(host, window, wants_room)? {
                    return Ok(false);
                }
                let Some(outcome) = rpc.outcome() else { return Ok(false) };
                print(console, &outcome.printed);
                if let Some((reply, endpoint)) = outcome.reply.zip(rpc.endpoint) {
                    send(host, window, endpoint, &reply)?;
                }
            }
            Ok(true)
        })
    }

    /// Moves standard input to the remote; true if there may be more.
    fn pump_input(&mut self, console: &mut Console) -> Result<bool, Violation> {
        if let Some(input) = &mut console.input {
            input.resume();
        }
        let Channel { link, services, wants_room, .. } = self;
        let Some(endpoint) = services.console else { return Ok(false) };
        link.with_host(|host, window| {
            let mut chunk = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                let Some(input) = &mut console.input else { return Ok(false) };
                if !has_room(host, window, wants_room)? {
                    return Ok(false);
                }
                match input.read(&mut chunk) {
                    Read::Bytes(len) => send(host, window, endpoint, &chunk[..len])?,
                    Read::Later => return Ok(false),
                    Read::End => console.input = None,
                }
            }
            Ok(true)
        })
    }

    /// Moves what clients type at side terminals to the remote; true if there may be more.
    fn pump_side_ttys(&mut self) -> Result<bool, Violation> {
        let Channel { link, services, wants_room, .. } = self;
        let mut again = false;
        for tty in services.side_ttys.iter_mut().filter(|tty| tty.door.has_client()) {
            again |= link.with_host(|host, window| {
                let mut chunk = [0; PAYLOAD_LEN];
                for _ in 0..TURN {
                    if !has_room(host, window, wants_room)? {
                        return Ok(false);
                    }
                    match tty.door.read(&mut chunk) {
                        0 => return Ok(false),
                        len => send(host, window, tty.endpoint, &chunk[..len])?,
                    }
                }
                Ok::<_, Violation>(true)
            })?;
        }
        Ok(again)
    }

    /// Moves bulk data in both directions; true if there may be more. Comes last, as it may ask for word of what the
    /// remote consumes.
    fn pump_umt(&mut self) -> Result<bool, Violation> {
        let Channel { link, services, wants_room, .. } = self;
        let Some(umt) = services.umt.as_mut().filter(|_| services.greetings.is_empty()) else {
            return Ok(false);
        };
        link.with_host(|host, window| umt.pump(host, window, wants_room))
    }

    /// A lie about the debug rings ends the debugger alone.
    fn pump_debugger(&mut self) {
        if let Some(debugger) = &mut self.debugger
            && let Err(violation) = debugger.pump(&self.link)
        {
            log::error!("the debugger is cut off: {violation}");
            self.debugger = None;
        }
    }

    fn answer_doors(&mut self) {
        let Services { doors, side_ttys, umt, .. } = &mut self.services;
        if let Some(doors) = doors
            && doors.rang()
        {
            for tty in side_ttys {
                tty.door.answer(doors);
            }
            umt.iter_mut().for_each(|umt| umt.answer(doors));
            self.debugger.iter_mut().for_each(|debugger| debugger.answer(doors));
        }
    }
}

/// True if a message can be sent now; otherwise the remote will tell when.
fn has_room(host: &mut Host, window: &Window<'_>, wants_room: &mut bool) -> Result<bool, Violation> {
    let mut room = host.reclaim(window)?;
    if room == *wants_room {
        *wants_room = !room;
        host.want_room(window, *wants_room)?;
        // A buffer may have come back before the remote saw that we want to know.
        room = room || host.reclaim(window)?;
    }
    Ok(room)
}

fn send(host: &mut Host, window: &Window<'_>, from: EndpointId, payload: &[u8]) -> Result<(), Violation> {
    match host.send(window, from, payload) {
        Ok(()) => Ok(()),
        Err(SendError::Violation(violation)) => Err(violation),
        // Room, length and endpoint were checked before.
        Err(error) => {
            log::debug!("message lost: {error}");
            Ok(())
        }
    }
}
