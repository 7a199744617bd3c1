//! Bulk transfer: whole messages of up to 1 MiB between the socket `rpmsg-umt.sock` in the bundle and the firmware.
//!
//! The bytes lie in a window of memory beside the rings; RPMsg carries their place and number alone (MICA ABI, section
//! 4.8). Each direction has one half of the window, so one message at a time: the next one of the client waits until the
//! firmware has taken the descriptor of the last, and the firmware's are copied out as soon as they are told of.

use openamp::Violation;
use openamp::rpmsg::{EndpointId, Host, Name};
use shmem::{Fault, Memory, Window};

use super::door::{Door, Doors};
use super::{has_room, send};
use crate::pedestal::baremetal::Piece;

/// The socket in the bundle.
const SOCKET: &str = "rpmsg-umt.sock";
/// Bytes of one direction, and so of the longest message; the firmware's half is the second one.
const HALF: usize = 0x10_0000;
/// What is read from the client at once.
const CHUNK: usize = 0x4000;
/// In front of each message on the socket: its length, little-endian.
const HEAD: usize = size_of::<u32>();
/// Bytes that wait for a client that does not read: one message, and the one that comes while it waits.
const WAITING: usize = 2 * (HEAD + HALF);
/// The first message, in the window.
const TEXT: &[u8; 32] = b"first message from umt_service!\0";
/// The first descriptor where there is no window, as MICA sends it.
pub(super) const NO_WINDOW: [u8; DESCRIPTOR] = descriptor(0, TEXT.len());
/// Bytes of a descriptor: u64 address, i32 length, 4 unused.
const DESCRIPTOR: usize = 16;

pub(super) fn is_umt(name: &Name) -> bool {
    name.as_str() == "rpmsg-umt"
}

const fn descriptor(address: u64, len: usize) -> [u8; DESCRIPTOR] {
    // At most 1 MiB.
    ((len as u128) << 64 | address as u128).to_le_bytes()
}

/// The service of one remote. Socket and window stay while the remote withdraws and announces.
pub(super) struct Umt {
    /// None while the remote has none.
    pub(super) endpoint: Option<EndpointId>,
    window: Piece,
    door: Option<Door>,
    inbound: Inbound,
    outbound: Outbound,
    /// The log has a line of what was lost.
    told: bool,
}

impl Umt {
    pub(super) fn new(window: Piece) -> Umt {
        let (inbound, outbound) = (Inbound::default(), Outbound::default());
        Umt { endpoint: None, window, door: None, inbound, outbound, told: false }
    }

    /// Serves `endpoint`; gives its first message.
    pub(super) fn serve(
        &mut self,
        endpoint: EndpointId,
        doors: Option<&Doors>,
    ) -> Result<[u8; DESCRIPTOR], Fault> {
        self.window.window()?.copy_in(0, TEXT)?;
        self.endpoint = Some(endpoint);
        self.inbound.handed = true;
        if self.door.is_none() {
            let open =
                |doors: &Doors| doors.open(SOCKET).inspect_err(|error| log::error!("{SOCKET}: {error}"));
            self.door = doors.and_then(|doors| open(doors).ok());
        }
        Ok(descriptor(self.window.pa(), TEXT.len()))
    }

    pub(super) fn answer(&mut self, doors: &Doors) {
        if self.door.as_mut().is_some_and(|door| door.answer(doors)) {
            self.forget_client();
        }
    }

    /// Takes what the firmware tells of out of its half of the window.
    pub(super) fn hear(&mut self, message: &[u8]) -> Result<(), Fault> {
        let Some(place) = Place::decode(message, self.window.pa()) else {
            self.lost(&format!("a message of {} bytes is no descriptor", message.len()));
            return Ok(());
        };
        let Some(at) = place.at.filter(|_| (1..=HALF).contains(&place.len)) else {
            self.lost(&format!(
                "{} bytes at {:#x} are not in its half of the window",
                place.len, place.address
            ));
            return Ok(());
        };
        if !self.door.as_ref().is_some_and(Door::has_client) {
            self.lost("nobody is connected");
        } else if !self.outbound.push(&self.window.window()?, at, place.len)? {
            self.lost("its reader is too slow");
        } else {
            self.told = false;
        }
        Ok(())
    }

    /// Moves what can be moved in both directions; true if there may be more. Not before the first message is sent.
    pub(super) fn pump(
        &mut self,
        host: &mut Host,
        memory: &Window<'_>,
        wants_room: &mut bool,
    ) -> Result<bool, Violation> {
        let Some(door) = &mut self.door else { return Ok(false) };
        self.outbound.write(door);
        if self.inbound.handed && host.outstanding(memory)? > 0 {
            // The window is still the firmware's, which will kick when it is not.
            *wants_room = true;
            host.want_room(memory, true)?;
            if host.outstanding(memory)? > 0 {
                return Ok(false);
            }
        }
        self.inbound.handed = false;
        let Some(endpoint) = self.endpoint else { return Ok(false) };
        let window = self.window.window()?;
        let ready = self.inbound.fill(door, &window)?;
        if !door.has_client() {
            self.forget_client();
        }
        let Some(len) = ready else { return Ok(false) };
        if !has_room(host, memory, wants_room)? {
            return Ok(false);
        }
        send(host, memory, endpoint, &descriptor(self.window.pa(), len))?;
        self.inbound = Inbound { handed: true, ..Inbound::default() };
        Ok(true)
    }

    /// The next client begins at the beginning of a message in both directions.
    fn forget_client(&mut self) {
        self.inbound.got = 0;
        self.outbound = Outbound::default();
    }

    /// One line until something gets through again.
    fn lost(&mut self, why: &str) {
        if !std::mem::replace(&mut self.told, true) {
            log::warn!("rpmsg-umt: what the firmware sends is lost: {why}");
        }
    }
}

/// What the firmware says of its message.
struct Place {
    address: u64,
    /// From the start of the window, if all of it is in the firmware's half.
    at: Option<usize>,
    len: usize,
}

impl Place {
    /// Reads a descriptor, or the length alone, which older firmware sends, in a window at `base`.
    fn decode(message: &[u8], base: u64) -> Option<Place> {
        let (address, len) = match *message {
            [a, b, c, d] => (base + HALF as u64, [a, b, c, d]),
            _ => {
                let (address, rest) = message.get(..DESCRIPTOR)?.split_first_chunk()?;
                (u64::from_le_bytes(*address), *rest.first_chunk()?)
            }
        };
        // A length below 0 is one that is far too long.
        let len = u32::from_le_bytes(len) as usize;
        let at = address.checked_sub(base).and_then(|at| usize::try_from(at).ok());
        let fits = |at: &usize| *at >= HALF && at.checked_add(len).is_some_and(|end| end <= 2 * HALF);
        Some(Place { address, at: at.filter(fits), len })
    }
}

/// A message of the client on its way into the window.
#[derive(Default)]
struct Inbound {
    head: [u8; HEAD],
    /// Bytes of head and payload that are here.
    got: usize,
    /// A message lies in the window that the firmware may not have seen yet.
    handed: bool,
}

impl Inbound {
    /// Reads on; the length of the message when it is in the window whole.
    fn fill(&mut self, door: &mut Door, window: &Window<'_>) -> Result<Option<usize>, Fault> {
        while let Some(rest) = self.head.get_mut(self.got..).filter(|rest| !rest.is_empty()) {
            match door.read(rest) {
                0 => return Ok(None),
                len => self.got += len,
            }
        }
        let len = u32::from_le_bytes(self.head) as usize;
        if !(1..=HALF).contains(&len) {
            log::warn!("{SOCKET}: a message of {len} bytes, it must be 1 to {HALF}; its client is cut off");
            door.lose();
            return Ok(None);
        }
        let mut chunk = [0; CHUNK];
        while let Some(left) = (HEAD + len).checked_sub(self.got).filter(|left| *left > 0) {
            let read = door.read(&mut chunk[..left.min(CHUNK)]);
            if read == 0 {
                return Ok(None);
            }
            window.copy_in(self.got - HEAD, &chunk[..read])?;
            self.got += read;
        }
        Ok(Some(len))
    }
}

/// Messages of the firmware on their way to the client.
#[derive(Default)]
struct Outbound {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbound {
    /// Copies a message out of the window; false if there is no room for it.
    fn push(&mut self, window: &Window<'_>, at: usize, len: usize) -> Result<bool, Fault> {
        self.bytes.drain(..std::mem::take(&mut self.written));
        let begin = self.bytes.len() + HEAD;
        if begin + len > WAITING {
            return Ok(false);
        }
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
        self.bytes.resize(begin + len, 0);
        window.copy_out(at, &mut self.bytes[begin..])?;
        Ok(true)
    }

    fn write(&mut self, door: &mut Door) {
        while self.written < self.bytes.len() {
            match door.write(&self.bytes[self.written..]) {
                0 => return,
                len => self.written += len,
            }
        }
        // The memory goes too: most containers never need it again.
        *self = Outbound::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x70d0_0000;

    fn at(message: &[u8]) -> Option<Option<usize>> {
        Place::decode(message, BASE).map(|place| place.at)
    }

    #[test]
    fn descriptors_are_micas() {
        assert_eq!(NO_WINDOW, *b"\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0");
        assert_eq!(descriptor(0x70d0_0000, 0x10_0000), *b"\0\0\xd0\x70\0\0\0\0\0\0\x10\0\0\0\0\0");
    }

    #[test]
    fn only_the_firmwares_half_is_read() {
        let half = BASE + HALF as u64;
        assert_eq!(at(&descriptor(half, HALF)), Some(Some(HALF)));
        assert_eq!(at(&descriptor(half + 8, HALF - 8)), Some(Some(HALF + 8)));
        for (address, len) in
            [(half + 8, HALF - 7), (half - 1, 1), (BASE, 16), (0, 32), (u64::MAX, 2), (half, !0)]
        {
            assert_eq!(at(&descriptor(address, len)), Some(None), "{address:#x}");
        }
    }

    #[test]
    fn a_length_alone_means_the_start_of_its_half() {
        assert_eq!(at(&7_u32.to_le_bytes()), Some(Some(HALF)));
        assert_eq!(at(&(-1_i32).to_le_bytes()), Some(None));
        for len in [0, 3, 5, 15] {
            assert_eq!(at(&vec![0; len]), None);
        }
    }
}
