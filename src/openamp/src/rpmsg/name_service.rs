//! Name service: how an endpoint tells the other side that it exists (40 bytes to address 0x35).

use core::fmt;

use super::ADDR_ANY;

/// Address of the name service on both sides.
pub const NAME_SERVICE: u32 = 0x35;
/// Bytes of a name on the wire, its NUL included.
pub const NAME_LEN: usize = 32;
/// Bytes of an announcement on the wire.
pub(crate) const ANNOUNCEMENT_LEN: usize = NAME_LEN + 8;

const DESTROY: u32 = 1;

/// An endpoint's name: 1 to 31 printable ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_LEN],
    len: u8,
}

impl Name {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Name, BadAnnouncement> {
        let mut bytes = [0; NAME_LEN];
        bytes.get_mut(..name.len()).ok_or(BadAnnouncement::Unterminated)?.copy_from_slice(name.as_bytes());
        Name::from_wire(bytes)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Only printable ASCII gets in, so this is always text.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// The bytes on the wire, padded with NUL.
    pub(super) fn wire(&self) -> &[u8; NAME_LEN] {
        &self.bytes
    }

    /// Reads the field on the wire. What follows the NUL is undefined there and dropped.
    pub(super) fn from_wire(mut bytes: [u8; NAME_LEN]) -> Result<Name, BadAnnouncement> {
        let len = bytes.iter().position(|byte| *byte == 0).ok_or(BadAnnouncement::Unterminated)?;
        let (name, rest) = bytes.split_at_mut(len);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(BadAnnouncement::Unprintable);
        }
        rest.fill(0);
        Ok(Name { bytes, len: len as u8 })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An announcement that is ignored, as Linux and OpenAMP do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnnouncement {
    /// Not 40 bytes.
    #[error("announcement has {0} bytes, an announcement has 40")]
    Length(usize),
    /// No NUL in the name field.
    #[error("endpoint name is not terminated within 32 bytes")]
    Unterminated,
    /// Empty, or with a character that is not printable ASCII.
    #[error("endpoint name is empty or not printable")]
    Unprintable,
    /// The address of nobody.
    #[error("endpoint address is 0xffffffff, which stands for an unknown one")]
    Address,
}

/// One message of the name service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The endpoint's name.
    pub name: Name,
    /// Its address.
    pub addr: u32,
    /// True if it came into being, false if it goes away.
    pub created: bool,
}

impl Announcement {
    /// The bytes on the wire.
    pub fn encode(&self) -> [u8; ANNOUNCEMENT_LEN] {
        let mut bytes = [0; ANNOUNCEMENT_LEN];
        bytes[..NAME_LEN].copy_from_slice(self.name.wire());
        bytes[NAME_LEN..NAME_LEN + 4].copy_from_slice(&self.addr.to_le_bytes());
        let flags = if self.created { 0 } else { DESTROY };
        bytes[NAME_LEN + 4..].copy_from_slice(&flags.to_le_bytes());
        bytes
    }

    /// Checks a payload that was sent to [`NAME_SERVICE`].
    pub fn decode(payload: &[u8]) -> Result<Announcement, BadAnnouncement> {
        let bytes: &[u8; ANNOUNCEMENT_LEN] =
            payload.try_into().map_err(|_| BadAnnouncement::Length(payload.len()))?;
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&bytes[..NAME_LEN]);
        let [.., a0, a1, a2, a3, f0, f1, f2, f3] = *bytes;
        let name = Name::from_wire(name)?;
        let (addr, flags) = (u32::from_le_bytes([a0, a1, a2, a3]), u32::from_le_bytes([f0, f1, f2, f3]));
        if addr == ADDR_ANY {
            return Err(BadAnnouncement::Address);
        }
        Ok(Announcement { name, addr, created: flags & DESTROY == 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_after_the_nul_is_dropped() {
        let tty = Announcement { name: Name::new("rpmsg-tty").expect("a name"), addr: 0x400, created: true };
        let mut bytes = tty.encode();
        bytes[10..NAME_LEN].fill(0xaa);
        assert_eq!(Announcement::decode(&bytes), Ok(tty));
    }

    #[test]
    fn bad_announcements_are_named() {
        let mut bytes = [b'x'; ANNOUNCEMENT_LEN];
        assert_eq!(Announcement::decode(&bytes), Err(BadAnnouncement::Unterminated));
        bytes[0] = 0;
        assert_eq!(Announcement::decode(&bytes), Err(BadAnnouncement::Unprintable));
        bytes[..3].copy_from_slice(b"a\n\0");
        assert_eq!(Announcement::decode(&bytes), Err(BadAnnouncement::Unprintable));
        assert_eq!(Announcement::decode(&bytes[1..]), Err(BadAnnouncement::Length(39)));
        let nobody = Announcement { name: Name::new("tty").expect("a name"), addr: ADDR_ANY, created: true };
        assert_eq!(Announcement::decode(&nobody.encode()), Err(BadAnnouncement::Address));
        assert!(Name::new("a-name-of-exactly-32-characters!").is_err());
        assert!(Name::new("a-name-of-exactly-31-characters").is_ok());
    }
}
