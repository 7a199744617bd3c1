//! The RTOS's end of a link: virtio device on both rings.

use shmem::Memory;

use super::endpoint::Endpoints;
use super::{
    ADDR_ANY, Announcement, Endpoint, EndpointId, HEADER_LEN, Header, NAME_SERVICE, Name, NoEndpointLeft,
    PAYLOAD_LEN, SendError,
};
use crate::Violation;
use crate::placement::BUFFER_LEN;
use crate::vring::{DeviceQueue, Geometry, Offered};

/// A message for one of our endpoints; its payload is the first `len` bytes of the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whom it is for.
    pub endpoint: EndpointId,
    /// Payload bytes.
    pub len: usize,
}

/// One link to a host. `da` is the device address of the byte at offset 0 of the memory passed in per call.
#[derive(Debug)]
pub struct Remote {
    da: u32,
    tx: DeviceQueue,
    rx: DeviceQueue,
    endpoints: Endpoints,
    /// Something was sent, or a message consumed, that the host was not kicked for yet.
    sent: bool,
    consumed: bool,
}

impl Remote {
    /// Attaches to rings that the host has initialised (status `DRIVER_OK`), 0 remote to host and 1 host to remote.
    pub fn new(memory: &impl Memory, da: u32, rings: [Geometry; 2]) -> Result<Remote, Violation> {
        let [tx, rx] = [DeviceQueue::new(rings[0], 0), DeviceQueue::new(rings[1], 1)];
        // The host re-offers buffers all the time; that is no news.
        tx.notify_me(memory, false)?;
        Ok(Remote { da, tx, rx, endpoints: Endpoints::new(), sent: false, consumed: false })
    }

    /// Makes an endpoint and tells the host of it. Then kick.
    pub fn announce(&mut self, memory: &impl Memory, name: Name) -> Result<EndpointId, AnnounceError> {
        let id = self.endpoints.add(name, ADDR_ANY)?;
        let local = self.endpoints.get(id).map_or(ADDR_ANY, |endpoint| endpoint.local);
        let announcement = Announcement { name, addr: local, created: true }.encode();
        if let Err(error) = self.transmit(memory, local, NAME_SERVICE, &announcement) {
            self.endpoints.remove(id);
            return Err(error.into());
        }
        Ok(id)
    }

    /// The endpoint; its `remote` is [`ADDR_ANY`] until the host has sent it a first message.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id)
    }

    /// Sends one message. Then see [`Self::wants_kick`].
    pub fn send(&mut self, memory: &impl Memory, from: EndpointId, payload: &[u8]) -> Result<(), SendError> {
        let endpoint = self.endpoints.get(from).ok_or(SendError::Gone)?;
        if endpoint.remote == ADDR_ANY {
            return Err(SendError::Gone);
        }
        self.transmit(memory, endpoint.local, endpoint.remote, payload)
    }

    /// Takes the next message for one of our endpoints; others are dropped.
    pub fn receive(
        &mut self,
        memory: &impl Memory,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Option<Received>, Violation> {
        while let Some(offered) = self.rx.take(memory)? {
            // Linux describes a message only as far as it goes, so the header is all that must be there.
            let at = self.locate(memory, 1, offered, HEADER_LEN)?;
            let mut header = [0; HEADER_LEN];
            memory.copy_out(at, &mut header)?;
            let header = Header::decode(header);
            let room = offered.len.min(BUFFER_LEN as u32) - HEADER_LEN as u32;
            if u32::from(header.len) > room {
                return Err(Violation::MessageLength { len: header.len, room });
            }
            let len = usize::from(header.len);
            memory.copy_out(at + HEADER_LEN, &mut payload[..len])?;
            self.rx.give_back(memory, offered.id, offered.len)?;
            self.consumed = true;
            if let Some(endpoint) = self.endpoints.at(header.dst) {
                self.endpoints.learn(endpoint, header.src);
                return Ok(Some(Received { endpoint, len }));
            }
        }
        Ok(None)
    }

    /// Asks to be notified when the host offers a transmit buffer, or not. After asking, try to send once more.
    pub fn want_room(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        self.tx.notify_me(memory, wanted)
    }

    /// True, once, if the host wants a kick for what was sent or consumed since the last call.
    pub fn wants_kick(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let (sent, consumed) = (core::mem::take(&mut self.sent), core::mem::take(&mut self.consumed));
        Ok((sent && self.tx.wants_kick(memory)?) || (consumed && self.rx.wants_kick(memory)?))
    }

    fn transmit(
        &mut self,
        memory: &impl Memory,
        src: u32,
        dst: u32,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let len = u16::try_from(payload.len()).ok().filter(|len| usize::from(*len) <= PAYLOAD_LEN);
        let len = len.ok_or(SendError::TooLong(payload.len()))?;
        let offered = self.tx.take(memory)?.ok_or(SendError::Full)?;
        let at = self.locate(memory, 0, offered, BUFFER_LEN)?;
        memory.copy_in(at, &Header { src, dst, len }.encode()).map_err(Violation::from)?;
        memory.copy_in(at + HEADER_LEN, payload).map_err(Violation::from)?;
        // OpenAMP remotes report the whole buffer; the header says what the message is.
        self.tx.give_back(memory, offered.id, offered.len)?;
        self.sent = true;
        Ok(())
    }

    /// Where an offered buffer lies in `memory`; it has room for at least `least` bytes.
    fn locate(
        &self,
        memory: &impl Memory,
        vring: u8,
        offered: Offered,
        least: usize,
    ) -> Result<usize, Violation> {
        let Offered { addr, len, .. } = offered;
        let at = addr.checked_sub(self.da.into()).and_then(|at| usize::try_from(at).ok());
        let fits = |at: &usize| at.checked_add(len as usize).is_some_and(|end| end <= memory.size());
        at.filter(fits).filter(|_| len as usize >= least).ok_or(Violation::Buffer { vring, addr, len })
    }
}

/// Why an endpoint could not be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// No place left.
    #[error(transparent)]
    Place(#[from] NoEndpointLeft),
    /// The announcement could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}
