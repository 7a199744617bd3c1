//! Checksums of firmware in the text form that labels use.

/// CRC-32 (ISO-HDLC, as zip and `crc32(1)`) as eight lower-case hex digits.
pub fn crc32(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// SHA-256 as 64 lower-case hex digits.
#[cfg(feature = "sha256")]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// SHA-256 of bytes that come in pieces.
#[cfg(feature = "sha256")]
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

#[cfg(feature = "sha256")]
impl Sha256 {
    /// Adds a piece.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// In the form of [`sha256`].
    pub fn finish(self) -> String {
        hex(&sha2::Digest::finalize(self.0))
    }
}

/// Both checksums of bytes that come in pieces.
#[cfg(feature = "sha256")]
#[derive(Clone, Debug, Default)]
pub struct Sums {
    crc32: crc32fast::Hasher,
    sha256: Sha256,
}

#[cfg(feature = "sha256")]
impl Sums {
    /// Adds a piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc32.update(bytes);
        self.sha256.update(bytes);
    }

    /// CRC-32 and SHA-256, in the forms of [`crc32`] and [`sha256`].
    pub fn finish(self) -> (String, String) {
        (format!("{:08x}", self.crc32.finalize()), self.sha256.finish())
    }
}

#[cfg(feature = "sha256")]
fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_of_the_check_string() {
        assert_eq!(super::crc32(b"123456789"), "cbf43926");
        assert_eq!(super::crc32(b""), "00000000");
    }

    #[cfg(feature = "sha256")]
    #[test]
    fn sha256_of_abc() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256(b"abc"), digest);
        let mut sums = super::Sums::default();
        for piece in [&b"a"[..], b"", b"bc"] {
            sums.update(piece);
        }
        assert_eq!(sums.finish(), ("352441c2".to_owned(), digest.to_owned()));
    }
}
