//! The services of one remote, by endpoint name. So far one: `rpmsg-tty` is the container's console.

use log::Level;

use crate::console::{Console, Read};
use crate::pedestal::baremetal::Link;
use openamp::Violation;
use openamp::rpmsg::{EndpointId, Host, Incoming, Name, PAYLOAD_LEN, SendError};
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

/// The endpoint that is the console.
#[derive(Debug)]
struct Tty {
    endpoint: EndpointId,
    /// The remote has been told our address. Before that it cannot print.
    greeted: bool,
}

impl Tty {
    fn is(tty: &Option<Tty>, endpoint: EndpointId) -> bool {
        tty.as_ref().is_some_and(|tty| tty.endpoint == endpoint)
    }
}

/// A running core and what is bound to its endpoints.
pub struct Channel {
    /// The core and its rings.
    pub link: Link,
    tty: Option<Tty>,
    /// Consoles that the remote has announced so far.
    consoles: u64,
    /// Messages that came so far.
    heard: u64,
    /// Messages that the remote had not consumed after the last turn.
    unconsumed: u16,
    /// We asked to be told when the remote consumes a message.
    wants_room: bool,
}

impl Channel {
    /// A channel over a link on which nothing was announced yet.
    pub fn new(link: Link) -> Channel {
        Channel { link, tty: None, consoles: 0, heard: 0, unconsumed: 0, wants_room: false }
    }

    /// Moves bytes in both directions until nothing more goes.
    pub fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation> {
        let before = (self.heard, self.unconsumed);
        let output = self.pump_output(console)?;
        let input = self.pump_input(console)?;
        self.unconsumed = self.link.with_host(|host, window| host.outstanding(window))?;
        let moved = before != (self.heard, self.unconsumed);
        Ok(Pumped { again: output || input, moved, owed: self.unconsumed > 0 || self.heard == 0 })
    }

    /// Moves what the remote has sent to standard output; true if there may be more.
    fn pump_output(&mut self, console: &mut Console) -> Result<bool, Violation> {
        let Channel { link, tty, consoles, heard, .. } = self;
        link.with_host(|host, window| {
            let mut payload = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                if blocked(console) {
                    return Ok(false);
                }
                let Some(incoming) = host.receive(window, &mut payload)? else { return Ok(false) };
                *heard += 1;
                match incoming {
                    Incoming::Announced { name, addr } if tty.is_none() && is_tty(&name) => {
                        *consoles += 1;
                        *tty = bind(host, name, addr, *consoles);
                    }
                    Incoming::Withdrawn(endpoint) if Tty::is(tty, endpoint) => *tty = None,
                    Incoming::Message { endpoint, len } if Tty::is(tty, endpoint) => {
                        print(console, &payload[..len]);
                    }
                    other => log::debug!("dropped {other:?}"),
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

/// Makes an announced tty the console. A remote may come and go as often as it likes; the log tells of the first time.
fn bind(host: &mut Host, name: Name, addr: u32, consoles: u64) -> Option<Tty> {
    let level = if consoles == 1 { Level::Info } else { Level::Debug };
    match host.bind(name, addr) {
        Ok(endpoint) => {
            log::log!(level, "console is endpoint {name} at {addr:#x}");
            Some(Tty { endpoint, greeted: false })
        }
        Err(error) => {
            log::log!(level, "{error}");
            None
        }
    }
}

/// `rpmsg-tty`, `rpmsg-tty0`, `rpmsg-tty1` and so on.
fn is_tty(name: &Name) -> bool {
    name.as_str()
        .strip_prefix("rpmsg-tty")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
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
            log::debug!("console input lost: {error}");
            Ok(())
        }
    }
}
