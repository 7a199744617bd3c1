//! One file that two processes map: a resource table and, behind it, the window with rings and buffers.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use openamp::placement::Placement;
use openamp::resource_table::{self, DRIVER_OK, Layout};
use openamp::vring::Geometry;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use shmem::{Mapping, Memory, Window};

/// Device address of the window. `rigs/c/peer.c` has the same number.
pub const DA: u32 = 0x7006_0000;
/// Buffers each way: the most that fit the window.
pub const NUM: u32 = 64;
/// Where the window begins in the file; in front of it is the table's page. `rigs/c/peer.c` has the same number.
const WINDOW_AT: usize = 0x1000;
/// Bytes of the window: what MICA gives a core.
const WINDOW_LEN: usize = 0x2_0000;
/// One cache line behind the table, for what needs no rings.
const SCRATCH_AT: usize = 0x800;
/// Longest wait for the other process to set up its half.
const PATIENCE: Duration = Duration::from_secs(10);

/// The mapped file.
pub struct Board {
    mapping: Mapping,
    layout: Layout,
    file: File,
}

impl Board {
    /// Makes a memfd with a fresh table in it.
    pub fn create() -> Result<Board> {
        let file = File::from(memfd_create("board", MemfdFlags::CLOEXEC)?);
        ftruncate(&file, (WINDOW_AT + WINDOW_LEN) as u64)?;
        let board = Board::map(file)?;
        board.table()?.copy_in(0, &fresh_table())?;
        Ok(board)
    }

    /// Maps the board at the path that its maker passed on.
    pub fn open(path: &Path) -> Result<Board> {
        let file = File::options().read(true).write(true).open(path);
        Board::map(file.with_context(|| path.display().to_string())?)
    }

    fn map(file: File) -> Result<Board> {
        let mapping = Mapping::new(file.as_fd(), 0, WINDOW_AT + WINDOW_LEN)?;
        Ok(Board { mapping, layout: resource_table::parse(&fresh_table())?, file })
    }

    /// A path by which a child process opens the board for as long as this process has it.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd()).into()
    }

    /// The live table.
    pub fn table(&self) -> Result<Window<'_>> {
        Ok(self.mapping.window().part(0, SCRATCH_AT)?)
    }

    /// What the table asks for.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A cache line of its own.
    pub fn scratch(&self) -> Result<Window<'_>> {
        Ok(self.mapping.window().part(SCRATCH_AT, 64)?)
    }

    /// Rings and buffers.
    pub fn window(&self) -> Result<Window<'_>> {
        Ok(self.mapping.window().part(WINDOW_AT, WINDOW_LEN)?)
    }

    /// Where the host puts rings and buffers.
    pub fn placement(&self) -> Result<Placement> {
        Ok(Placement::new(&self.layout, DA, WINDOW_LEN)?)
    }

    /// Tells the remote where its rings are, and that they may be used.
    pub fn announce_rings(&self) -> Result<()> {
        let table = self.table()?;
        self.layout.write_vrings(&table, self.placement()?.ring_addresses())?;
        shmem::barrier::write();
        Ok(self.layout.write_status(&table, DRIVER_OK)?)
    }

    /// Waits for the host's rings and gives them.
    pub fn await_rings(&self) -> Result<[Geometry; 2]> {
        let (table, begun) = (self.table()?, Instant::now());
        while self.layout.read_status(&table)? & DRIVER_OK == 0 {
            ensure!(begun.elapsed() < PATIENCE, "no DRIVER_OK within {PATIENCE:?}");
            std::thread::yield_now();
        }
        shmem::barrier::read();
        let [first, second] = *self.layout.vrings();
        let ring = |index, entry: resource_table::VringEntry| -> Result<Geometry> {
            let base =
                self.layout.read_vring(&table, index)?.checked_sub(DA).context("ring below the window")?;
            Ok(Geometry { base: base as usize, num: entry.num, align: entry.align as usize })
        };
        Ok([ring(0, first)?, ring(1, second)?])
    }
}

/// The smallest table: one vdev with name service, two vrings.
fn fresh_table() -> Vec<u8> {
    let any = resource_table::ADDR_ANY;
    let words = [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, any, 4, NUM, 0, 0, any, 4, NUM, 1, 0];
    words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}
