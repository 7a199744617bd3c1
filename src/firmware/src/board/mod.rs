//! Boards: which memory firmware may use, on which cores it may run, and how it is driven there.
//!
//! A board is a file of `board-configs/` (`docs/reference/board.md`); those of the repository are built in.

mod error;
mod known;
mod parse;
mod region;

pub use error::BoardError;
pub use known::{DIRECTORY, names};
pub use region::Region;

use crate::elf::Elf;
use crate::setting::Setting;

/// Shared memory of one core in bytes. MICA's bare-metal rule: window = communication base + cpu * 0x20000.
pub const WINDOW_LEN: u64 = 0x2_0000;

/// Bytes of one core's window for bulk transfer (`rpmsg-umt`): half of it for each direction, Linux to RTOS first.
pub const BULK_LEN: u64 = 0x20_0000;

/// What drives a core, by the names of micrun's pedestals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pedestal {
    /// QEMU emulates it.
    Qemu,
    /// openEuler's kernel module, `/dev/mcs`.
    Mcs,
    /// Linux's remoteproc framework.
    Remoteproc,
    /// openEuler's daemon.
    Micad,
}

/// A machine of QEMU that the `qemu` pedestal can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `virt`, with a GICv3.
    Virt,
    /// `raspi4b`, the Raspberry Pi 4 (QEMU 9 or newer).
    Raspi4b,
}

/// The interrupt controller that all cores share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// GICv2, such as the GIC-400.
    GicV2,
    /// GICv3 or newer.
    GicV3,
}

/// How host and firmware interrupt each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// The controller.
    pub controller: Controller,
    /// The SGI by which the host kicks the firmware, on the firmware's core.
    pub kick_sgi: u32,
    /// The SGI that the firmware rings at core 0.
    pub doorbell_sgi: u32,
    /// The shared peripheral interrupt (from 0, as device trees count them) that firmware can set pending instead.
    pub doorbell_spi: Option<u32>,
}

/// What consoles are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// The RPMsg service.
    pub service: String,
    /// What the names of terminals in `/dev` begin with, where the kernel or MICA makes them.
    pub device: String,
}

/// Device trees by which Linux gives memory and core away: names of overlay sources, and what they are applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTree {
    /// Overlay for `/dev/mcs`.
    pub mcs: Option<String>,
    /// Overlay for the driver `micrun,psci-rproc`.
    pub remoteproc: Option<String>,
    /// The board's tree in Linux, as the kernel names the compiled file.
    pub base: Option<String>,
    /// Words of an address in the root of that tree.
    pub address_cells: u32,
    /// Words of a size.
    pub size_cells: u32,
}

impl Default for DeviceTree {
    /// No overlays, and cells as most trees for 64-bit Arm have them.
    fn default() -> DeviceTree {
        DeviceTree { mcs: None, remoteproc: None, base: None, address_cells: 2, size_cells: 2 }
    }
}

/// How Linux, with the overlay, gets onto the board. For people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// What it boots from, and how that is written.
    pub medium: String,
    /// How an overlay takes effect.
    pub device_tree: String,
    /// What the kernel's command line has to have.
    pub kernel_arguments: Vec<String>,
}

/// A board. Having one proves that its memory goes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name that images and command lines use.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Names by which a running board is recognised in its device tree.
    pub compatible: Vec<String>,
    /// Platforms of containerd hosts that can run its firmware.
    pub platforms: Vec<String>,
    /// What can drive a core of it.
    pub pedestals: Vec<Pedestal>,
    /// The machine of QEMU that it is.
    pub machine: Option<Machine>,
    /// The board that stands for it under QEMU.
    pub emulated_by: Option<String>,
    /// What it sets for the containers on it.
    pub settings: Vec<Setting>,
    /// Cores. Core 0 is Linux's (or the agent's in its place), firmware runs on `1..cpus`.
    pub cpus: u32,
    /// All memory that there is at least.
    pub dram: Vec<Region>,
    /// Shared memory, divided into one window per core.
    pub communication: Region,
    /// Memory of the RTOS.
    pub ram: Region,
    /// Memory for bulk transfer (MICA's `rpmsg-umt`) beside messages, if there is any.
    pub bulk: Option<Region>,
    /// Memory with an owner of its own: who, and where.
    pub reserved: Vec<(String, Region)>,
    /// Interrupts.
    pub interrupts: Interrupts,
    /// Consoles.
    pub console: Console,
    /// Device trees.
    pub device_tree: DeviceTree,
    /// How Linux gets onto it.
    pub boot: Boot,
}

impl Board {
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
            Err(BoardError::Cpu { board: self.name.clone(), cpu, last: self.default_cpu() })
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

    /// Memory that firmware shares with others or must leave alone, and whose it is.
    pub fn owners(&self) -> impl Iterator<Item = (&str, Region)> {
        let reserved = self.reserved.iter().map(|(owner, region)| (owner.as_str(), *region));
        let bulk = self.bulk.map(|region| ("bulk", region));
        reserved.chain([("communication", self.communication)]).chain(bulk)
    }

    fn fits_segment(&self, index: usize, segment: Region) -> Result<(), BoardError> {
        let (board, ram) = (self.name.clone(), self.ram);
        if let Some((owner, region)) = self.owners().find(|(_, region)| region.overlaps(segment)) {
            return Err(BoardError::Reserved { index, segment, owner: owner.to_owned(), region, board });
        }
        if ram.contains(segment) { Ok(()) } else { Err(BoardError::Outside { index, segment, ram, board }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_elf::TestElf;

    fn qemu_arm64() -> Board {
        Board::by_name("qemu-arm64").expect("built in")
    }

    fn judged(addr: u64, len: usize) -> Result<(), String> {
        let file = TestElf::new().segment(addr, &vec![0; len]).build();
        let elf = Elf::parse(&file).expect("a valid elf file");
        qemu_arm64().fits(&elf).map_err(|error| error.to_string())
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
        assert!(!qemu_arm64().ram.contains(Region { base: 0x7a00_0000, len: u64::MAX }));
    }

    #[test]
    fn windows_follow_the_mica_rule() {
        assert_eq!(qemu_arm64().window(3).ok(), Some(Region { base: 0x7006_0000, len: 0x2_0000 }));
        for cpu in [0, 4, u32::MAX] {
            let text = qemu_arm64().window(cpu).expect_err("no core for firmware").to_string();
            let expected =
                format!("cpu {cpu} is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn cores_share_no_window_for_bulk_transfer() {
        let base = |board: &Board, cpu| board.bulk_window(cpu).map(|window| window.base);
        let board = qemu_arm64();
        let bases = [0, 1, 2, 3, 4].map(|cpu| base(&board, cpu));
        assert_eq!(bases, [None, Some(0x7110_0000), Some(0x70f0_0000), Some(0x70d0_0000), None]);
        let one = Board { bulk: Some(Region { base: 0x70d0_0000, len: BULK_LEN }), ..qemu_arm64() };
        assert_eq!([1, 2, 3].map(|cpu| base(&one, cpu)), [None, None, Some(0x70d0_0000)]);
        assert_eq!(base(&Board { bulk: None, ..qemu_arm64() }, 3), None);
        let high = Board { bulk: Some(Region { base: u64::MAX - BULK_LEN, len: BULK_LEN }), ..qemu_arm64() };
        assert_eq!(base(&high, 2), None);
    }

    #[test]
    fn micas_own_images_fit_their_boards() {
        for (name, base, len) in [("rpi4", 0x7b00_0000, 0xd_7508), ("hieulerpi", 0x4300_0000, 0xe_2064)] {
            let board = Board::by_name(name).expect("built in");
            assert!(board.fits_segment(0, Region { base, len }).is_ok());
            assert!(board.window(3).is_ok());
        }
    }
}
