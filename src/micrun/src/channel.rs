//! The services of one remote, by endpoint name. So far one: `rpmsg-tty` is the container's console.

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

/// A running core and what is bound to its endpoints.
pub struct Channel {
    /// The core and its rings.
    pub link: Link,
    tty: Option<EndpointId>,
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
        Channel { link, tty: None, heard: 0, unconsumed: 0, wants_room: false }
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
        let Channel { link, tty, heard, .. } = self;
        link.with_host(|host, window| {
            let mut payload = [0; PAYLOAD_LEN];
            for _ in 0..TURN {
                if blocked(console) {
                    return Ok(false);
                }
                let Some(incoming) = host.receive(window, &mut payload)? else { return Ok(false) };
                *heard += 1;
                match incoming {
                    Incoming::Announced { name, addr } => bind(host, window, tty, name, addr)?,
                    Incoming::Withdrawn(endpoint) if *tty == Some(endpoint) => *tty = None,
                    Incoming::Message { endpoint, len } if *tty == Some(endpoint) => {
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
        let Channel { link, tty, wants_room, .. } = self;
        let Some(endpoint) = *tty else { return Ok(false) };
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

/// Binds the first tty as the console. The empty message tells the remote our address: before it, it cannot print.
fn bind(
    host: &mut Host,
    window: &Window<'_>,
    tty: &mut Option<EndpointId>,
    name: Name,
    addr: u32,
) -> Result<(), Violation> {
    if tty.is_some() || !is_tty(&name) {
        log::debug!("endpoint {name} at {addr:#x} is not used");
        return Ok(());
    }
    match host.bind(name, addr) {
        Ok(endpoint) => {
            log::info!("console is endpoint {name} at {addr:#x}");
            *tty = Some(endpoint);
            send(host, window, endpoint, &[])
        }
        Err(error) => {
            log::warn!("{error}");
            Ok(())
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
        // Room and length were checked before, so this is an endpoint withdrawn meanwhile.
        Err(error) => {
            log::warn!("console input lost: {error}");
            Ok(())
        }
    }
}
