//! A message that still lies in its buffer: only its header has been copied out and checked.

use shmem::Memory;

use super::{EndpointId, HEADER_LEN, Header, PAYLOAD_LEN};
use crate::Violation;
use crate::placement::BUFFER_LEN;

/// A message whose header fits its buffer.
#[derive(Debug)]
pub(super) struct Message {
    /// The header as it was when it was checked.
    pub(super) header: Header,
    /// Where the payload begins.
    pub(super) at: usize,
    /// Descriptor of the buffer.
    pub(super) id: u16,
    /// Length of the buffer as the peer gave it.
    pub(super) buffer_len: u32,
}

impl Message {
    /// Reads the header of the message in the buffer of descriptor `id` at `at`, of which `buffer_len` bytes count.
    pub(super) fn read(
        memory: &impl Memory,
        at: usize,
        id: u16,
        buffer_len: u32,
    ) -> Result<Message, Violation> {
        let mut header = [0; HEADER_LEN];
        memory.copy_out(at, &mut header)?;
        let header = Header::decode(header);
        let room = buffer_len.min(BUFFER_LEN as u32).saturating_sub(HEADER_LEN as u32);
        if u32::from(header.len) > room {
            return Err(Violation::MessageLength { len: header.len, room });
        }
        Ok(Message { header, at: at + HEADER_LEN, id, buffer_len })
    }

    /// Copies the whole payload out.
    pub(super) fn copy_out<'p>(
        &self,
        memory: &impl Memory,
        payload: &'p mut [u8; PAYLOAD_LEN],
    ) -> Result<&'p [u8], Violation> {
        let payload = &mut payload[..usize::from(self.header.len)];
        memory.copy_out(self.at, payload)?;
        Ok(payload)
    }
}

/// A message that is kept in its buffer. Its length was checked once; its bytes may change until they are copied out,
/// and [`Self::copy_out`] may be called any number of times.
#[derive(Debug)]
#[must_use = "the peer gets the buffer back by `release` only"]
pub struct Held {
    pub(super) message: Message,
    pub(super) endpoint: EndpointId,
}

impl Held {
    /// Whom it is for.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// Payload bytes, at most [`PAYLOAD_LEN`].
    #[allow(clippy::len_without_is_empty, reason = "an empty message is a message like any other")]
    pub fn len(&self) -> usize {
        self.message.header.len.into()
    }

    /// Copies payload from byte `from` on into `out`, as much as there is; gives how much that was.
    pub fn copy_out(&self, memory: &impl Memory, from: usize, out: &mut [u8]) -> Result<usize, Violation> {
        let len = self.len().saturating_sub(from).min(out.len());
        if let Some(out) = out.get_mut(..len).filter(|out| !out.is_empty()) {
            memory.copy_out(self.message.at + from, out)?;
        }
        Ok(len)
    }
}
