//! The host's end of a link: virtio driver on both rings.

use shmem::{Fault, Memory};

use super::endpoint::{Endpoints, Origin};
use super::ends::{self, End};
use super::message::Message;
use super::{
    AnnounceError, Endpoint, EndpointId, Header, Held, Incoming, Name, NoEndpointLeft, PAYLOAD_LEN,
    SendError, Taken, endpoint_table,
};
use crate::Violation;
use crate::placement::{BUFFER_LEN, Placement};
use crate::resource_table::Layout;
use crate::vring::{Buffers, DriverQueue};

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
        let [rx_buffers, tx_buffers] = placement.buffers.map(|at| u64::from(placement.da) + at as u64);
        let rx = DriverQueue::new(memory, rx_ring, 0, Buffers { addr: rx_buffers, writable: true })?;
        let tx = DriverQueue::new(memory, tx_ring, 1, Buffers { addr: tx_buffers, writable: false })?;
        // Steady state needs no word of consumed messages; see `want_room` for when it does.
        tx.notify_me(memory, false)?;
        let endpoints = Endpoints::new();
        let mut host = Host { placement, rx, tx, endpoints, sent: false, offered: false };
        while let Some(id) = host.rx.take() {
            host.offer_rx(memory, id)?;
        }
        Ok(host)
    }

    /// Goes on with firmware that another host process has started, and takes its endpoints over from `table`, the live
    /// table; see [`Self::record_endpoints`]. What was in the rings is lost. `layout` is that of the firmware's file.
    ///
    /// The steps (MICA): status 0, [`State::Reset`](crate::state::State), kick, wait until the state is `Quiet` with a
    /// deadline (MICA: 200 ms), this, status `DRIVER_OK`, state `On`, kick. A table that does not fit the file, or
    /// rings that are elsewhere, are a [`Violation`], and nothing has been touched.
    pub fn reattach(
        memory: &impl Memory,
        placement: Placement,
        layout: &Layout,
        table: &impl Memory,
    ) -> Result<Host, Violation> {
        layout.check_live(table)?;
        for (vring, ours) in (0..).zip(placement.ring_addresses()) {
            let address = layout.read_vring(table, vring.into())?;
            if address != ours {
                return Err(Violation::RingAddress { vring, address });
            }
        }
        let endpoints = layout.endpoints().map(|at| endpoint_table::read(table, at)).transpose()?;
        let host = Host::new(memory, placement)?;
        Ok(Host { endpoints: endpoints.unwrap_or(host.endpoints), ..host })
    }

    /// Writes the endpoints into the live table, if they changed and the firmware has room for them there, so that the
    /// next host process can [`Self::reattach`].
    pub fn record_endpoints(&mut self, layout: &Layout, table: &impl Memory) -> Result<(), Fault> {
        match layout.endpoints() {
            Some(at) if self.endpoints.take_changed() => endpoint_table::write(&self.endpoints, table, at),
            _ => Ok(()),
        }
    }

    /// Takes the next message off the ring. `payload` receives at most [`PAYLOAD_LEN`] bytes.
    ///
    /// The buffer is offered again before this returns; see [`Self::wants_kick`].
    pub fn receive(
        &mut self,
        memory: &impl Memory,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Option<Incoming>, Violation> {
        let Some(message) = self.next(memory)? else { return Ok(None) };
        self.finish(memory, &message, payload).map(Some)
    }

    /// Takes the next message off the ring and leaves it in its buffer, which is the remote's again after
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
        self.offer_rx(memory, message.id)
    }

    /// Makes the local endpoint for one that the remote announced. Its first [`Self::send`] tells the remote our
    /// address; before that the remote cannot send.
    pub fn bind(&mut self, name: Name, remote: u32) -> Result<EndpointId, NoEndpointLeft> {
        self.endpoints.add(name, remote, Origin::Theirs)
    }

    /// Makes an endpoint and tells the remote of it, which must have offered the name service
    /// ([`Layout::name_service`]). Then kick.
    pub fn announce(&mut self, memory: &impl Memory, name: Name) -> Result<EndpointId, AnnounceError> {
        ends::announce(self, memory, name)
    }

    /// Ends an endpoint and tells the remote. Then kick.
    pub fn withdraw(&mut self, memory: &impl Memory, id: EndpointId) -> Result<(), SendError> {
        ends::withdraw(self, memory, id)
    }

    /// The endpoint, unless it was withdrawn.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id)
    }

    /// All endpoints, in the order of our addresses.
    pub fn endpoints(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        self.endpoints.iter()
    }

    /// Sends one message; an empty one is legal and tells the remote our address. Then see [`Self::wants_kick`].
    pub fn send(&mut self, memory: &impl Memory, from: EndpointId, payload: &[u8]) -> Result<(), SendError> {
        ends::send(self, memory, from, payload)
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

    /// Asks to be notified when the remote sends a message, as is so at first, or not, for example while polling. After
    /// asking, [`Self::receive`] once more.
    pub fn want_messages(&self, memory: &impl Memory, wanted: bool) -> Result<(), Violation> {
        self.rx.notify_me(memory, wanted)
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

    fn next(&mut self, memory: &impl Memory) -> Result<Option<Message>, Violation> {
        let Some(used) = self.rx.reclaim(memory)? else { return Ok(None) };
        Message::read(memory, self.buffer(0, used.id), used.id, used.len).map(Some)
    }

    /// Copies a message out, offers its buffer again and acts on the copy.
    fn finish(
        &mut self,
        memory: &impl Memory,
        message: &Message,
        payload: &mut [u8; PAYLOAD_LEN],
    ) -> Result<Incoming, Violation> {
        let payload = message.copy_out(memory, payload)?;
        self.offer_rx(memory, message.id)?;
        Ok(self.endpoints.dispatch(message.header, payload))
    }

    fn offer_rx(&mut self, memory: &impl Memory, id: u16) -> Result<(), Violation> {
        self.offered = true;
        self.rx.offer(memory, id)
    }

    fn buffer(&self, ring: usize, id: u16) -> usize {
        self.placement.buffers[ring] + BUFFER_LEN * usize::from(id)
    }
}

impl End for Host {
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
        // Not before it is needed: a ring of buffers costs the look that a single one would.
        if self.tx.holding() == self.tx.num() {
            self.reclaim(memory)?;
        }
        let id = self.tx.take().ok_or(SendError::Full)?;
        let at = self.buffer(1, id);
        ends::write_message(memory, at, Header { src, dst, len }, payload)?;
        self.tx.offer(memory, id)?;
        self.sent = true;
        Ok(())
    }
}
