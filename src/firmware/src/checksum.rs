//! Checksums of firmware in the text form that labels use.

/// CRC-32 (ISO-HDLC, as zip and `crc32(1)`) as eight lower-case hex digits.
pub fn crc32(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// SHA-256 as 64 lower-case hex digits.
#[cfg(feature = "sha256")]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;

    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
    }
}
