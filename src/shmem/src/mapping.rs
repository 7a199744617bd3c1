//! Shared memory that comes from a file descriptor: a memfd under QEMU, `/dev/mcs` on a board.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use memmap2::{MmapOptions, MmapRaw};

use crate::Window;

/// An owned shared mapping; unmapped when dropped.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use shmem::{Mapping, Memory};
///
/// let path = std::env::temp_dir().join(format!("shmem-{}", std::process::id()));
/// let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
/// std::fs::remove_file(&path)?;
/// file.set_len(4096)?;
/// let (ours, theirs) = (Mapping::new(file.as_fd(), 0, 4096)?, Mapping::new(file.as_fd(), 0, 4096)?);
/// ours.window().store_u32(8, 7).expect("inside");
/// assert_eq!(theirs.window().load_u32(8), Ok(7));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Mapping {
    map: MmapRaw,
}

impl Mapping {
    /// Maps `len` bytes of `file` from `offset` on, shared, readable and writable.
    ///
    /// `offset` has to be a multiple of the page size (`/dev/mcs` takes a physical address there).
    pub fn new(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Mapping> {
        let map = MmapOptions::new().offset(offset).len(len).map_raw(file.as_raw_fd())?;
        Ok(Mapping { map })
    }

    /// The whole mapping as a window.
    pub fn window(&self) -> Window<'_> {
        // SAFETY: the mapping lives as long as the borrow, and nobody makes references into it.
        unsafe { Window::from_raw(self.map.as_mut_ptr(), self.map.len()) }
    }
}
