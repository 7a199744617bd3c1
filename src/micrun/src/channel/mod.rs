//! The services of one remote, by the names of its endpoints: `rpmsg-tty` is the container's console, `rpmsg-rpc` calls
//! for files.
//!
//! What has no service is told in the log and dropped. UniProton waits for the first message to `rpmsg-rpc` before it
//! starts anything, so that comes as soon as there is room for it.

mod rpc;
mod tty;

use log::Level;
use rpc::RpcService;
use tty::Tty;

use crate::console::{Console, Read};
use crate::pedestal::baremetal::Link;
use crate::reactor::Waker;
use crate::rpc::SharedFiles;
use openamp::Violation;
use openamp::rpmsg::{EndpointId, Host, Incoming, Name, PAYLOAD_LEN, SendError};
use shmem::Window;

/// Messages taken per turn and remote, so that one that floods does not starve the others.
const TURN: usize = 64;

/// Announcements that are worth a line in the log: there are two services.
const TOLD: u64 = 2;

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
    tty: Option<Tty>,
    rpc: Option<RpcService>,
    files: SharedFiles,
    waker: Option<Waker>,
    /// Endpoints that the remote has announced so far.
    announced: u64,
    /// Messages that came so far.
    heard: u64,
    /// Messages that the remote had not consumed after the last turn.
    unconsumed: u16,
    /// We asked to be told when the remote consumes a message.
    wants_room: bool,
}

impl Channel {
    /// A channel over a link on which nothing was announced yet.
    pub fn new(link: Link, files: SharedFiles) -> Channel {
        let (tty, rpc, waker) = (None, None, None);
        Channel { link, tty, rpc, files, waker, announced: 0, heard: 0, unconsumed: 0, wants_room: false }
    }

    /// How services on other threads say that there is something to do.
    pub fn wake_by(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// Calls of the remote that are being carried out: they may still print.
    pub fn calls_under_way(&self) -> usize {
        self.rpc.as_ref().map_or(0, |rpc| rpc.under_way)
    }

    fn rpc_is_full(&self) -> bool {
        self.rpc.as_ref().is_some_and(RpcService::is_full)
    }

    /// Moves bytes in both directions until nothing more goes.
    pub fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation> {
        let before = (self.heard, self.unconsumed);
        let output = self.pump_output(console)?;
        let held_up = self.rpc_is_full();
        let mut answers = self.pump_rpc(console)?;
        // The messages that waited for an outcome are still in the ring, and nobody kicks for them again.
        answers |= held_up && !self.rpc_is_full();
        let input = self.pump_input(console)?;
        self.unconsumed = self.link.with_host(|host, window| host.outstanding(window))?;
        let moved = before != (self.heard, self.unconsumed);
        Ok(Pumped { again: output || answers || input, moved, owed: self.unconsumed > 0 || self.heard == 0 })
    }

    /// Moves what the remote has sent to standard output; true if there may be more.
    fn pump_output(&mut self, console: &mut Console) -> Result<bool, Violation> {
        let Channel { link, tty, rpc, files, waker, announced, heard, .. } = self;
        link.with_host(|host, window| {
            let mut payload = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                // One ring carries everything: who does not take his messages holds up the others of his container.
                if blocked(console) || rpc.as_ref().is_some_and(RpcService::is_full) {
                    return Ok(false);
                }
                let Some(incoming) = host.receive(window, &mut payload)? else { return Ok(false) };
                *heard += 1;
                match incoming {
                    Incoming::Announced { name, addr } if is_free(tty) && tty::is_tty(&name) => {
                        *tty = bind(host, name, addr, announced).map(Tty::new);
                    }
                    Incoming::Announced { name, addr } if is_free(rpc) && rpc::is_rpc(&name) => {
                        let Some(endpoint) = bind(host, name, addr, announced) else { continue };
                        if rpc.is_none() {
                            *rpc = RpcService::start(files.clone(), waker.clone());
                        }
                        rpc.iter_mut().for_each(|rpc| rpc.serve(endpoint));
                    }
                    Incoming::Withdrawn(endpoint) if is_at(tty, endpoint) => *tty = None,
                    Incoming::Withdrawn(endpoint) if is_at(rpc, endpoint) => {
                        rpc.iter_mut().for_each(|rpc| rpc.endpoint = None);
                    }
                    Incoming::Message { endpoint, len } if is_at(tty, endpoint) => {
                        print(console, &payload[..len]);
                    }
                    Incoming::Message { endpoint, len } if is_at(rpc, endpoint) => {
                        rpc.iter_mut().for_each(|rpc| rpc.ask(&payload[..len]));
                    }
                    other => log::debug!("dropped {other:?}"),
                }
            }
            Ok(true)
        })
    }

    /// Moves answers of the rpc service to the remote, and what it printed to standard output; true if there may be more.
    fn pump_rpc(&mut self, console: &mut Console) -> Result<bool, Violation> {
        let Channel { link, rpc, wants_room, .. } = self;
        let Some(rpc) = rpc else { return Ok(false) };
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
        let Channel { link, tty, wants_room, .. } = self;
        let Some(tty) = tty else { return Ok(false) };
        link.with_host(|host, window| {
            let mut chunk = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                if !has_room(host, window, wants_room)? {
                    return Ok(false);
                }
                if !tty.greeted {
                    // An empty message: the remote learns our address, and nobody reads a byte.
                    send(host, window, tty.endpoint, &[])?;
                    tty.greeted = true;
                }
                let Some(input) = &mut console.input else { return Ok(false) };
                if !has_room(host, window, wants_room)? {
                    return Ok(false);
                }
                match input.read(&mut chunk) {
                    Read::Bytes(len) => send(host, window, tty.endpoint, &chunk[..len])?,
                    Read::Later => return Ok(false),
                    Read::End => console.input = None,
                }
            }
            Ok(true)
        })
    }
}

/// A service at an endpoint of the remote.
trait Service {
    fn endpoint(&self) -> Option<EndpointId>;
}

fn is_at(service: &Option<impl Service>, endpoint: EndpointId) -> bool {
    service.as_ref().and_then(Service::endpoint) == Some(endpoint)
}

fn is_free(service: &Option<impl Service>) -> bool {
    service.as_ref().and_then(Service::endpoint).is_none()
}

/// Binds an announced endpoint. A remote may announce as often as it likes; the log tells of the first times.
fn bind(host: &mut Host, name: Name, addr: u32, announced: &mut u64) -> Option<EndpointId> {
    *announced += 1;
    let level = if *announced <= TOLD { Level::Info } else { Level::Debug };
    match host.bind(name, addr) {
        Ok(endpoint) => {
            log::log!(level, "endpoint {name} at {addr:#x}");
            Some(endpoint)
        }
        Err(error) => {
            log::log!(level, "{error}");
            None
        }
    }
}

/// Tries to get rid of what standard output did not take before; true if it still does not.
fn blocked(console: &mut Console) -> bool {
    let Some(output) = &mut console.output else { return false };
    match output.flush() {
        Ok(()) => output.blocked(),
        Err(error) => {
            give_up_output(console, &error);
            false
        }
    }
}

fn print(console: &mut Console, bytes: &[u8]) {
    let Some(output) = &mut console.output else { return };
    if let Err(error) = output.write(bytes) {
        give_up_output(console, &error);
    }
}

fn give_up_output(console: &mut Console, error: &std::io::Error) {
    log::warn!("stdout: {error}; further output is dropped");
    console.output = None;
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
