//! The RTOS's end of a link: virtio device on both rings.

use shmem::Memory;

use super::endpoint::{Endpoints, Origin};
use super::ends::{self, End};
use super::message::Message;
use super::{
    AnnounceError, Endpoint, EndpointId, HEADER_LEN, Header, Held, Incoming, Name, NoEndpointLeft,
    PAYLOAD_LEN, SendError, Taken,
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

    /// Goes back to the beginning of both rings, for a host that asked by the state word; then answer `Quiet` there and
    /// send nothing before the status is `DRIVER_OK` again. Endpoints stay, the host knows them. Messages that are held
    /// must be forgotten, not released. The host clears the rings, so [`Self::want_room`] is to be said again.
    pub fn reset(&mut self, memory: &impl Memory) -> Result<(), Violation> {
        self.tx.restart();
        self.rx.restart();
        (self.sent, self.consumed) = (false, false);
        self.rx.clear_indices(memory)
    }

    /// Makes an endpoint and tells the host of it. Then kick.
    pub fn announce(&mut self, memory: &impl Memory, name: Name) -> Result<EndpointId, AnnounceError> {
        ends::announce(self, memory, name)
    }

    /// Makes the local endpoint for one that the host announced. Its first [`Self::send`] tells the host our address.
    pub fn bind(&mut self, name: Name, remote: u32) -> Result<EndpointId, NoEndpointLeft> {
        self.endpoints.add(name, remote, Origin::Theirs)
    }

    /// Ends an endpoint and tells the host. Then kick.
    pub fn withdraw(&mut self, memory: &impl Memory, id: EndpointId) -> Result<(), SendError> {
        ends::withdraw(self, memory, id)
    }

    /// The endpoint; its `remote` is [`super::ADDR_ANY`] until the host has sent it a first message.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id)
    }

    /// Sends one message. Then see [`Self::wants_kick`].
    pub fn send(&mut self, memory: &impl Memory, from: EndpointId, payload: &[u8]) -> Result<(), SendError> {
        ends::send(self, memory, from, payload)
    }

    /// Takes the next message for one of our endpoints. What else comes before it is acted on and not told of; see
    /// [`Self::receive_any`].
    pub fn receive(
        &mut self,
        memory: &impl Memory,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Option<Received>, Violation> {
        // A ring full of other things at most: for what the host adds meanwhile, it kicks after we began.
        for _ in 0..self.rx.num() {
            match self.receive_any(memory, payload)? {
                Some(Incoming::Message { endpoint, len }) => return Ok(Some(Received { endpoint, len })),
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Takes the next message off the ring, whatever it is.
    pub fn receive_any(
        &mut self,
        memory: &impl Memory,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Option<Incoming>, Violation> {
        let Some(message) = self.next(memory)? else { return Ok(None) };
        self.finish(memory, &message, payload).map(Some)
    }

    /// Takes the next message off the ring and leaves it in its buffer, which is the host's again after
    /// [`Self::release`].
    pub fn hold(&mut self, memory: &impl Memory) -> Result<Option<Taken>, Violation> {
        let Some(message) = self.next(memory)? else { return Ok(None) };
        if let Some(endpoint) = self.endpoints.hear(message.header.src, message.header.dst) {
            return Ok(Some(Taken::Held(Held { message, endpoint })));
        }
        Ok(Some(Taken::Done(self.finish(memory, &message, &mut [0; PAYLOAD_LEN])?)))
    }

    /// Gives the buffer of a message back, in any order. Then see [`Self::wants_kick`].
    pub fn release(&mut self, memory: &impl Memory, held: Held) -> Result<(), Violation> {
        let Held { message, .. } = held;
        self.give_back(memory, &message)
    }

    /// Asks to be notified when the host offers a transmit buffer, or not. After asking, try to send once more.
    pub fn want_room(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        self.tx.notify_me(memory, wanted)
    }

    /// Asks to be notified when the host sends a message, as is so at first, or not, for example while polling. After
    /// asking, [`Self::receive`] once more.
    pub fn want_messages(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        self.rx.notify_me(memory, wanted)
    }

    /// True, once, if the host wants a kick for what was sent or consumed since the last call.
    pub fn wants_kick(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let (sent, consumed) = (core::mem::take(&mut self.sent), core::mem::take(&mut self.consumed));
        Ok((sent && self.tx.wants_kick(memory)?) || (consumed && self.rx.wants_kick(memory)?))
    }

    fn next(&mut self, memory: &impl Memory) -> Result<Option<Message>, Violation> {
        let Some(offered) = self.rx.take(memory)? else { return Ok(None) };
        // Linux describes a message only as far as it goes, so the header is all that must be there.
        let at = self.locate(memory, 1, offered, HEADER_LEN)?;
        Message::read(memory, at, offered.id, offered.len).map(Some)
    }

    /// Copies a message out, gives its buffer back and acts on the copy.
    fn finish(
        &mut self,
        memory: &impl Memory,
        message: &Message,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Incoming, Violation> {
        let payload = message.copy_out(memory, payload)?;
        self.give_back(memory, message)?;
        Ok(self.endpoints.dispatch(message.header, payload))
    }

    fn give_back(&mut self, memory: &impl Memory, message: &Message) -> Result<(), Violation> {
        self.rx.give_back(memory, message.id, message.buffer_len)?;
        self.consumed = true;
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

impl End for Remote {
    fn endpoints(&mut self) -> &mut Endpoints {
        &mut self.endpoints
    }

    fn transmit(
        &mut self,
        memory: &impl Memory,
        src: u32,
        dst: u32,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let len = ends::payload_len(payload)?;
        let offered = self.tx.take(memory)?.ok_or(SendError::Full)?;
        let at = self.locate(memory, 0, offered, BUFFER_LEN)?;
        ends::write_message(memory, at, Header { src, dst, len }, payload)?;
        // OpenAMP remotes report the whole buffer; the header says what the message is.
        self.tx.give_back(memory, offered.id, offered.len)?;
        self.sent = true;
        Ok(())
    }
}
