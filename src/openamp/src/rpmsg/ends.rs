//! What both ends of a link do alike: sending from an endpoint, announcing and withdrawing one.

use shmem::Memory;

use super::endpoint::{Endpoints, Origin};
use super::{
    ADDR_ANY, AnnounceError, Announcement, Endpoint, EndpointId, HEADER_LEN, Header, NAME_SERVICE, Name,
    PAYLOAD_LEN, SendError,
};
use crate::Violation;

/// One end of a link.
pub(super) trait End {
    fn endpoints(&mut self) -> &mut Endpoints;
    /// Sends one message from any address to any address.
    fn transmit(&mut self, memory: &impl Memory, src: u32, dst: u32, payload: &[u8])
    -> Result<(), SendError>;
}

pub(super) fn send(
    end: &mut impl End,
    memory: &impl Memory,
    from: EndpointId,
    payload: &[u8],
) -> Result<(), SendError> {
    let &Endpoint { local, remote, .. } = end.endpoints().get(from).ok_or(SendError::Gone)?;
    if remote == ADDR_ANY {
        return Err(SendError::Unconnected);
    }
    end.transmit(memory, local, remote, payload)
}

pub(super) fn announce(
    end: &mut impl End,
    memory: &impl Memory,
    name: Name,
) -> Result<EndpointId, AnnounceError> {
    let id = end.endpoints().add(name, ADDR_ANY, Origin::Ours)?;
    if let Err(error) = tell(end, memory, id, true) {
        end.endpoints().remove(id);
        return Err(error.into());
    }
    Ok(id)
}

pub(super) fn withdraw(end: &mut impl End, memory: &impl Memory, id: EndpointId) -> Result<(), SendError> {
    tell(end, memory, id, false)?;
    end.endpoints().remove(id);
    Ok(())
}

fn tell(end: &mut impl End, memory: &impl Memory, id: EndpointId, created: bool) -> Result<(), SendError> {
    let endpoint = *end.endpoints().get(id).ok_or(SendError::Gone)?;
    let announcement = Announcement { name: endpoint.name, addr: endpoint.local, created }.encode();
    end.transmit(memory, endpoint.local, NAME_SERVICE, &announcement)
}

/// The length field for `payload`.
pub(super) fn payload_len(payload: &[u8]) -> Result<u16, SendError> {
    let len = u16::try_from(payload.len()).ok().filter(|len| usize::from(*len) <= PAYLOAD_LEN);
    len.ok_or(SendError::TooLong(payload.len()))
}

/// Writes a whole message into the buffer at `at`.
pub(super) fn write_message(
    memory: &impl Memory,
    at: usize,
    header: Header,
    payload: &[u8],
) -> Result<(), Violation> {
    memory.copy_in(at, &header.encode())?;
    memory.copy_in(at + HEADER_LEN, payload)?;
    Ok(())
}
