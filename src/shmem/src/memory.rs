//! What the OpenAMP code needs of shared memory; the one seam where a model checker can stand in for the hardware.

/// An access that the window does not allow: out of bounds, or not aligned to its own width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access of {len} bytes at offset {at:#x} is outside the {size:#x} byte window or misaligned")]
pub struct Fault {
    /// Byte offset from the start of the window.
    pub at: usize,
    /// Bytes wanted.
    pub len: usize,
    /// Size of the window in bytes.
    pub size: usize,
}

/// Little-endian, volatile access to memory that the peer may change between any two calls.
///
/// Offsets are bytes from the start. Every method fails with [`Fault`] instead of touching anything outside; the
/// word accesses also need natural alignment.
pub trait Memory {
    /// Size in bytes.
    fn size(&self) -> usize;
    /// Reads one byte.
    fn load_u8(&self, at: usize) -> Result<u8, Fault>;
    /// Reads one 16-bit word.
    fn load_u16(&self, at: usize) -> Result<u16, Fault>;
    /// Reads one 32-bit word.
    fn load_u32(&self, at: usize) -> Result<u32, Fault>;
    /// Reads one 64-bit word.
    fn load_u64(&self, at: usize) -> Result<u64, Fault>;
    /// Writes one byte.
    fn store_u8(&self, at: usize, value: u8) -> Result<(), Fault>;
    /// Writes one 16-bit word.
    fn store_u16(&self, at: usize, value: u16) -> Result<(), Fault>;
    /// Writes one 32-bit word.
    fn store_u32(&self, at: usize, value: u32) -> Result<(), Fault>;
    /// Writes one 64-bit word.
    fn store_u64(&self, at: usize, value: u64) -> Result<(), Fault>;
    /// Copies `out.len()` bytes out of the window. What was copied is a private snapshot, possibly torn.
    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault>;
    /// Copies `bytes` into the window.
    fn copy_in(&self, at: usize, bytes: &[u8]) -> Result<(), Fault>;
    /// Zeroes `len` bytes.
    fn zero(&self, at: usize, len: usize) -> Result<(), Fault>;
}
