//! How firmware is checked before it is loaded.

/// Which of the checksums must be known and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The CRC-32, if the image has one: finds what was torn.
    Crc32,
    /// The SHA-256 too, and there must be one: finds what was changed on purpose.
    Sha256,
}

impl Check {
    /// The check of that name.
    pub fn find(word: &str) -> Option<Check> {
        [Check::Crc32, Check::Sha256].into_iter().find(|check| check.as_str() == word)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Crc32 => "crc32",
            Check::Sha256 => "sha256",
        }
    }
}
