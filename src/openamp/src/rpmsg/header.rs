//! The 16 bytes in front of every message: `{u32 src, u32 dst, u32 reserved, u16 len, u16 flags}`.

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 16;

/// A message header. The reserved word is written 0 and never read: OpenAMP peers keep private notes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Sending endpoint.
    pub src: u32,
    /// Receiving endpoint.
    pub dst: u32,
    /// Payload bytes that follow.
    pub len: u16,
}

impl Header {
    /// The bytes on the wire.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&self.src.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.dst.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// Reads the bytes on the wire; nothing is checked yet.
    pub fn decode(bytes: [u8; HEADER_LEN]) -> Header {
        let [s0, s1, s2, s3, d0, d1, d2, d3, _, _, _, _, l0, l1, _, _] = bytes;
        Header {
            src: u32::from_le_bytes([s0, s1, s2, s3]),
            dst: u32::from_le_bytes([d0, d1, d2, d3]),
            len: u16::from_le_bytes([l0, l1]),
        }
    }
}
