//! Boards: which memory firmware may use, and on which cores it may run.

use std::fmt;

use crate::elf::Elf;

/// Shared memory of one core in bytes. MICA's bare-metal rule: window = communication base + cpu * 0x20000.
pub const WINDOW_LEN: u64 = 0x2_0000;

/// Bytes of one core's window for bulk transfer (`rpmsg-umt`): half of it for each direction, Linux to RTOS first.
pub const BULK_LEN: u64 = 0x20_0000;

/// QEMU's `virt` machine, memory as MICA's device tree for it divides it, so that one ELF file serves the
/// emulated core and the board under `/dev/mcs`.
pub const QEMU_ARM64: Board = Board {
    name: "qemu-arm64",
    cpus: 4,
    communication: Region { base: 0x7000_0000, len: 0x10_0000 },
    ram: Region { base: 0x7a00_0000, len: 0x400_0000 },
    // Where MICA's rule for boards with more communication memory puts it: base + 0xd00000.
    bulk: Some(Region { base: 0x70d0_0000, len: 3 * BULK_LEN }),
    // Start of the machine's memory: QEMU writes its device tree there, the agent of cpu 0 follows.
    reserved: &[("agent", Region { base: 0x4000_0000, len: 0x40_0000 })],
};

/// Raspberry Pi 4 (BCM2711, four cores), memory as the page tables of MICA's UniProton image for it map it.
pub const RPI4: Board = Board {
    name: "rpi4",
    cpus: 4,
    communication: Region { base: 0x7000_0000, len: 0x10_0000 },
    ram: Region { base: 0x7b00_0000, len: 0x100_0000 },
    bulk: None,
    reserved: &[],
};

/// HiEulerPi (SD3403, four cores), memory as the page tables of MICA's UniProton image for it map it.
pub const HIEULERPI: Board = Board {
    name: "hieulerpi",
    cpus: 4,
    communication: Region { base: 0x4000_0000, len: 0x10_0000 },
    ram: Region { base: 0x4300_0000, len: 0x100_0000 },
    bulk: None,
    reserved: &[],
};

const BOARDS: &[&Board] = &[&QEMU_ARM64, &RPI4, &HIEULERPI];

/// Physical addresses from `base` on. Displayed as `0xSTART..0xEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

impl Region {
    /// True if all of `other` lies in this region.
    pub fn contains(&self, other: Region) -> bool {
        other.base >= self.base && other.end() <= self.end()
    }

    /// True if the regions share an address.
    pub fn overlaps(&self, other: Region) -> bool {
        u128::from(self.base) < other.end() && u128::from(other.base) < self.end()
    }

    /// The address after the last; 128 bits, as the last address may be the highest there is.
    fn end(&self) -> u128 {
        u128::from(self.base) + u128::from(self.len)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.end())
    }
}

/// A board, as far as firmware is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name that images and command lines use.
    pub name: &'static str,
    /// Cores. Core 0 is Linux's (or the agent's in its place), firmware runs on `1..cpus`.
    pub cpus: u32,
    /// Shared memory, divided into one window per core.
    pub communication: Region,
    /// Memory of the RTOS.
    pub ram: Region,
    /// Memory for bulk transfer beside messages, if there is any.
    pub bulk: Option<Region>,
    /// Memory with an owner of its own: who, and where.
    pub reserved: &'static [(&'static str, Region)],
}

/// Why firmware does not suit a board.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// No such board.
    #[error("board {name:?} is unknown, known are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Linux's core, or one that the board does not have.
    #[error("cpu {cpu} is not for firmware on board {board}, which runs it on cpu 1 to {last}")]
    Cpu {
        /// The board.
        board: &'static str,
        /// The core asked for.
        cpu: u32,
        /// The last core.
        last: u32,
    },
    /// A segment would overwrite somebody else's memory.
    #[error("segment {index} ({segment}) overlaps the {owner} memory ({region}) of board {board}")]
    Reserved {
        /// Index of the program header.
        index: usize,
        /// Where the segment is loaded.
        segment: Region,
        /// Whose memory it is.
        owner: &'static str,
        /// That memory.
        region: Region,
        /// The board.
        board: &'static str,
    },
    /// A segment is loaded where the RTOS has no memory.
    #[error("segment {index} ({segment}) lies outside the rtos memory ({ram}) of board {board}")]
    Outside {
        /// Index of the program header.
        index: usize,
        /// Where the segment is loaded.
        segment: Region,
        /// Memory of the RTOS.
        ram: Region,
        /// The board.
        board: &'static str,
    },
}

impl Board {
    /// The board of that name.
    pub fn by_name(name: &str) -> Result<&'static Board, BoardError> {
        BOARDS.iter().copied().find(|board| board.name == name).ok_or_else(|| BoardError::Unknown {
            name: name.to_owned(),
            known: BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// The last core, where firmware runs unless told otherwise: the one Linux misses least.
    pub fn default_cpu(&self) -> u32 {
        self.cpus.saturating_sub(1)
    }

    /// Shared memory of a core that may run firmware.
    pub fn window(&self, cpu: u32) -> Result<Region, BoardError> {
        let base = self.communication.base.saturating_add(u64::from(cpu).saturating_mul(WINDOW_LEN));
        let window = Region { base, len: WINDOW_LEN };
        if (1..self.cpus).contains(&cpu) && self.communication.contains(window) {
            Ok(window)
        } else {
            Err(BoardError::Cpu { board: self.name, cpu, last: self.default_cpu() })
        }
    }

    /// The core's window for bulk transfer, if the board has one for it. They are dealt out from the last core on, where
    /// firmware runs unless told otherwise, so that no two cores ever share one.
    pub fn bulk_window(&self, cpu: u32) -> Option<Region> {
        let before = u64::from(self.default_cpu().checked_sub(cpu)?);
        let bulk = self.bulk?;
        let base = bulk.base.checked_add(before.checked_mul(BULK_LEN)?)?;
        Some(Region { base, len: BULK_LEN }).filter(|window| cpu > 0 && bulk.contains(*window))
    }

    /// Proves that every segment lies in the memory of the RTOS; the entry point then does too, as [`Elf`]
    /// has it inside a segment.
    pub fn fits(&self, elf: &Elf) -> Result<(), BoardError> {
        elf.segments().iter().try_for_each(|segment| {
            self.fits_segment(segment.index, Region { base: segment.addr, len: segment.mem_len })
        })
    }

    fn fits_segment(&self, index: usize, segment: Region) -> Result<(), BoardError> {
        let board = self.name;
        let communication = ("communication", self.communication);
        for (owner, region) in self.reserved.iter().copied().chain([communication]) {
            if region.overlaps(segment) {
                return Err(BoardError::Reserved { index, segment, owner, region, board });
            }
        }
        let ram = self.ram;
        if ram.contains(segment) { Ok(()) } else { Err(BoardError::Outside { index, segment, ram, board }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_elf::TestElf;

    fn judged(addr: u64, len: usize) -> Result<(), String> {
        let file = TestElf::new().segment(addr, &vec![0; len]).build();
        let elf = Elf::parse(&file).expect("a valid elf file");
        QEMU_ARM64.fits(&elf).map_err(|error| error.to_string())
    }

    #[test]
    fn firmware_in_rtos_memory_fits() {
        assert_eq!(judged(0x7a10_0000, 0x1000), Ok(()));
        assert_eq!(judged(0x7dff_f000, 0x1000), Ok(()));
    }

    #[test]
    fn the_message_names_segment_and_memory() {
        let outside =
            "(0x7dfff000..0x7e000001) lies outside the rtos memory (0x7a000000..0x7e000000) of board";
        assert_eq!(judged(0x7dff_f000, 0x1001), Err(format!("segment 2 {outside} qemu-arm64")));
        let reserved = "(0x403fffff..0x40400001) overlaps the agent memory (0x40000000..0x40400000) of board";
        assert_eq!(judged(0x403f_ffff, 2), Err(format!("segment 2 {reserved} qemu-arm64")));
        let shared =
            "(0x70000000..0x70000004) overlaps the communication memory (0x70000000..0x70100000) of board";
        assert_eq!(judged(0x7000_0000, 4), Err(format!("segment 2 {shared} qemu-arm64")));
    }

    #[test]
    fn the_highest_address_does_not_wrap() {
        let top = Region { base: u64::MAX, len: 1 };
        assert!(!top.overlaps(Region { base: 0, len: 1 }));
        assert_eq!(top.to_string(), "0xffffffffffffffff..0x10000000000000000");
        assert!(!QEMU_ARM64.ram.contains(Region { base: 0x7a00_0000, len: u64::MAX }));
    }

    #[test]
    fn windows_follow_the_mica_rule() {
        assert_eq!(QEMU_ARM64.window(3), Ok(Region { base: 0x7006_0000, len: 0x2_0000 }));
        for cpu in [0, 4, u32::MAX] {
            let text = QEMU_ARM64.window(cpu).expect_err("no core for firmware").to_string();
            let expected =
                format!("cpu {cpu} is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn cores_share_no_window_for_bulk_transfer() {
        let base = |board: Board, cpu| board.bulk_window(cpu).map(|window| window.base);
        let bases = [0, 1, 2, 3, 4].map(|cpu| base(QEMU_ARM64, cpu));
        assert_eq!(bases, [None, Some(0x7110_0000), Some(0x70f0_0000), Some(0x70d0_0000), None]);
        let one = Board { bulk: Some(Region { base: 0x70d0_0000, len: BULK_LEN }), ..QEMU_ARM64 };
        assert_eq!([1, 2, 3].map(|cpu| base(one, cpu)), [None, None, Some(0x70d0_0000)]);
        assert_eq!(base(RPI4, 3), None);
        let high = Board { bulk: Some(Region { base: u64::MAX - BULK_LEN, len: BULK_LEN }), ..QEMU_ARM64 };
        assert_eq!(base(high, 2), None);
    }

    #[test]
    fn micas_own_images_fit_their_boards() {
        for (board, base, len) in [(RPI4, 0x7b00_0000, 0xd_7508), (HIEULERPI, 0x4300_0000, 0xe_2064)] {
            assert_eq!(board.fits_segment(0, Region { base, len }), Ok(()));
            assert!(board.window(3).is_ok());
        }
    }

    #[test]
    fn boards_are_found_by_name() {
        for board in BOARDS {
            assert_eq!(Board::by_name(board.name), Ok(*board));
        }
        let error = Board::by_name("rpi5").expect_err("an unknown board");
        assert_eq!(error.to_string(), "board \"rpi5\" is unknown, known are: qemu-arm64, rpi4, hieulerpi");
    }

    #[test]
    fn a_boards_own_regions_are_apart() {
        for board in BOARDS {
            assert!(!board.ram.overlaps(board.communication), "{}", board.name);
            assert!(board.bulk.is_none_or(|bulk| !bulk.overlaps(board.ram)), "{}", board.name);
            assert!(board.reserved.iter().all(|(_, region)| !region.overlaps(board.ram)), "{}", board.name);
        }
    }
}
