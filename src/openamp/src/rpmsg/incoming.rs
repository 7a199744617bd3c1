//! What a message means to the end that takes it off the ring; the same on both sides.

use super::endpoint::Endpoints;
use super::{ADDR_ANY, Announcement, BadAnnouncement, EndpointId, Header, Held, NAME_SERVICE, Name};

/// What came off the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The peer has a new endpoint. Bind it, or leave it alone.
    Announced {
        /// Its name.
        name: Name,
        /// Its address at the peer.
        addr: u32,
    },
    /// The peer has an endpoint for the one that we announced.
    Connected(EndpointId),
    /// An endpoint's peer went away. One that was bound is gone with it; one that we announced waits for the next peer.
    Withdrawn(EndpointId),
    /// A message for an endpoint; its payload is the first `len` bytes of the caller's buffer.
    Message {
        /// Whom it is for.
        endpoint: EndpointId,
        /// Payload bytes.
        len: usize,
    },
    /// A message to an address that nobody listens at, dropped.
    Stray {
        /// That address.
        dst: u32,
    },
    /// An announcement that says nothing, ignored.
    Ignored(BadAnnouncement),
}

/// What came off the ring and may have stayed in its buffer.
#[derive(Debug)]
pub enum Taken {
    /// A message for an endpoint, to be released.
    Held(Held),
    /// Anything else; its buffer is already the peer's again.
    Done(Incoming),
}

impl Endpoints {
    /// Acts on a message whose payload was copied out.
    pub(super) fn dispatch(&mut self, header: Header, payload: &[u8]) -> Incoming {
        if header.dst == NAME_SERVICE {
            return match Announcement::decode(payload) {
                Ok(announcement) => self.name_service(announcement),
                Err(bad) => Incoming::Ignored(bad),
            };
        }
        match self.hear(header.src, header.dst) {
            Some(endpoint) => Incoming::Message { endpoint, len: payload.len() },
            None => Incoming::Stray { dst: header.dst },
        }
    }

    fn name_service(&mut self, Announcement { name, addr, created }: Announcement) -> Incoming {
        match (created, self.find(&name, addr)) {
            (true, None) => match self.find(&name, ADDR_ANY) {
                Some(id) => {
                    self.connect(id, addr);
                    Incoming::Connected(id)
                }
                None => Incoming::Announced { name, addr },
            },
            // Announced twice: the first one stands.
            (true, Some(_)) => Incoming::Stray { dst: NAME_SERVICE },
            (false, Some(id)) => {
                self.disconnect(id);
                Incoming::Withdrawn(id)
            }
            (false, None) => Incoming::Stray { dst: addr },
        }
    }
}
