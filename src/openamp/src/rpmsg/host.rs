//! The host's end of a link: virtio driver on both rings.

use shmem::Memory;

use super::endpoint::Endpoints;
use super::{
    Announcement, BadAnnouncement, Endpoint, EndpointId, HEADER_LEN, Header, NAME_SERVICE, Name,
    NoEndpointLeft, PAYLOAD_LEN,
};
use crate::Violation;
use crate::placement::{BUFFER_LEN, Placement};
use crate::vring::DriverQueue;

/// What [`Host::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The remote has a new endpoint. [`Host::bind`] it, or leave it alone.
    Announced {
        /// Its name.
        name: Name,
        /// Its address at the remote.
        addr: u32,
    },
    /// A bound endpoint's peer went away; the id is not valid any more.
    Withdrawn(EndpointId),
    /// A message for a bound endpoint; its payload is the first `len` bytes of the caller's buffer.
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

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The remote holds every buffer. Try again when [`Host::reclaim`] got one back.
    #[error("the remote has not consumed the messages sent before")]
    Full,
    /// More than [`PAYLOAD_LEN`] bytes: never truncated silently.
    #[error("payload of {0} bytes, a message holds at most {PAYLOAD_LEN}")]
    TooLong(usize),
    /// The endpoint was withdrawn.
    #[error("the endpoint does not exist any more")]
    Gone,
    /// The remote broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// One link to a remote. Not tied to the memory: that is passed in per call and must always be the same.
#[derive(Debug)]
pub struct Host {
    placement: Placement,
    rx: DriverQueue,
    tx: DriverQueue,
    endpoints: Endpoints,
    /// Something was sent, or a receive buffer offered, that the remote was not kicked for yet.
    sent: bool,
    offered: bool,
}

impl Host {
    /// Initialises both rings and offers all receive buffers. Afterwards the firmware may be told `DRIVER_OK`.
    pub fn new(memory: &impl Memory, placement: Placement) -> Result<Host, Violation> {
        let [rx_ring, tx_ring] = placement.rings;
        let buffers = BUFFER_LEN * (usize::from(rx_ring.num) + usize::from(tx_ring.num));
        memory.zero(placement.buffers[0], buffers)?;
        let rx = DriverQueue::new(memory, rx_ring, 0)?;
        let tx = DriverQueue::new(memory, tx_ring, 1)?;
        // Steady state needs no word of consumed messages; see `want_room` for when it does.
        tx.notify_me(memory, false)?;
        let endpoints = Endpoints::new();
        let mut host = Host { placement, rx, tx, endpoints, sent: false, offered: false };
        while let Some(id) = host.rx.take() {
            host.offer_rx(memory, id)?;
        }
        Ok(host)
    }

    /// Takes the next message off the ring. `payload` receives at most [`PAYLOAD_LEN`] bytes.
    ///
    /// The buffer is offered again before this returns; see [`Self::wants_kick`].
    pub fn receive(
        &mut self,
        memory: &impl Memory,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Option<Incoming>, Violation> {
        let Some(used) = self.rx.reclaim(memory)? else { return Ok(None) };
        let at = self.buffer(0, used.id);
        let mut header = [0; HEADER_LEN];
        memory.copy_out(at, &mut header)?;
        let header = Header::decode(header);
        let room = used.len.min(BUFFER_LEN as u32).saturating_sub(HEADER_LEN as u32);
        if u32::from(header.len) > room {
            return Err(Violation::MessageLength { len: header.len, room });
        }
        let payload = &mut payload[..usize::from(header.len)];
        memory.copy_out(at + HEADER_LEN, payload)?;
        self.offer_rx(memory, used.id)?;
        Ok(Some(self.dispatch(header, payload)))
    }

    /// Makes the local endpoint for one that the remote announced. Its first [`Self::send`] tells the remote our
    /// address; before that the remote cannot send.
    pub fn bind(&mut self, name: Name, remote: u32) -> Result<EndpointId, NoEndpointLeft> {
        self.endpoints.add(name, remote)
    }

    /// The endpoint, unless it was withdrawn.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id)
    }

    /// Sends one message; an empty one is legal and tells the remote our address. Then see [`Self::wants_kick`].
    pub fn send(&mut self, memory: &impl Memory, from: EndpointId, payload: &[u8]) -> Result<(), SendError> {
        let len = u16::try_from(payload.len()).ok().filter(|len| usize::from(*len) <= PAYLOAD_LEN);
        let len = len.ok_or(SendError::TooLong(payload.len()))?;
        let endpoint = self.endpoints.get(from).ok_or(SendError::Gone)?;
        let header = Header { src: endpoint.local, dst: endpoint.remote, len };
        self.reclaim(memory)?;
        let id = self.tx.take().ok_or(SendError::Full)?;
        let at = self.buffer(1, id);
        memory.copy_in(at, &header.encode()).map_err(Violation::from)?;
        memory.copy_in(at + HEADER_LEN, payload).map_err(Violation::from)?;
        self.tx.offer(memory, id, self.address(at), false)?;
        self.sent = true;
        Ok(())
    }

    /// Takes back transmit buffers that the remote has consumed; true if at least one is free now.
    pub fn reclaim(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        while let Some(used) = self.tx.reclaim(memory)? {
            self.tx.put_back(used.id);
        }
        Ok(self.tx.holding() < self.tx.num())
    }

    /// Asks to be notified when the remote consumes a message, or not. After asking, [`Self::reclaim`] once more.
    pub fn want_room(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        self.tx.notify_me(memory, wanted)
    }

    /// Messages that the remote has not consumed yet: an answer is owed.
    pub fn outstanding(&mut self, memory: &impl Memory) -> Result<u16, Violation> {
        self.reclaim(memory)?;
        Ok(self.tx.holding())
    }

    /// True, once, if the remote wants a kick for what was sent or offered since the last call.
    pub fn wants_kick(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let (sent, offered) = (core::mem::take(&mut self.sent), core::mem::take(&mut self.offered));
        Ok((sent && self.tx.wants_kick(memory)?) || (offered && self.rx.wants_kick(memory)?))
    }

    fn dispatch(&mut self, header: Header, payload: &[u8]) -> Incoming {
        if header.dst == NAME_SERVICE {
            return match Announcement::decode(payload) {
                Ok(announcement) => self.name_service(announcement),
                Err(bad) => Incoming::Ignored(bad),
            };
        }
        match self.endpoints.at(header.dst) {
            Some(endpoint) => Incoming::Message { endpoint, len: payload.len() },
            None => Incoming::Stray { dst: header.dst },
        }
    }

    fn name_service(&mut self, Announcement { name, addr, created }: Announcement) -> Incoming {
        match self.endpoints.find(&name, addr) {
            Some(id) if !created => {
                self.endpoints.remove(id);
                Incoming::Withdrawn(id)
            }
            // Announced twice: the first one stands.
            Some(_) => Incoming::Stray { dst: NAME_SERVICE },
            None if created => Incoming::Announced { name, addr },
            None => Incoming::Stray { dst: addr },
        }
    }

    fn offer_rx(&mut self, memory: &impl Memory, id: u16) -> Result<(), Violation> {
        let addr = self.address(self.buffer(0, id));
        self.offered = true;
        self.rx.offer(memory, id, addr, true)
    }

    fn buffer(&self, ring: usize, id: u16) -> usize {
        self.placement.buffers[ring] + BUFFER_LEN * usize::from(id)
    }

    fn address(&self, at: usize) -> u64 {
        u64::from(self.placement.da) + at as u64
    }
}
