//! A writer that knows length and SHA-256 of what went through it.

use std::io::{self, Write};

use firmware::checksum::Sha256;

/// Passes everything on to `inner`.
#[derive(Debug)]
pub(crate) struct Hashing<W> {
    inner: W,
    sum: Sha256,
    len: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(inner: W) -> Hashing<W> {
        Hashing { inner, sum: Sha256::default(), len: 0 }
    }

    /// Digest (`sha256:` and 64 hex digits), length, and what it was written to.
    pub(crate) fn finish(self) -> (String, u64, W) {
        (format!("sha256:{}", self.sum.finish()), self.len, self.inner)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(bytes.get(..count).unwrap_or_default());
        self.len += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
