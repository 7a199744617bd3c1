//! Our share of the GICv3: this core's redistributor and CPU interface. The distributor belongs to the host's side.

use super::cpu::{complete_writes, read_register, write_register};

/// The host's kick, and ours to CPU 0: SGI 7, as in MICA.
pub const KICK: u32 = 7;
/// The virtual timer's PPI.
pub const TICK: u32 = 27;

/// Redistributors of QEMU's `virt` machine, one frame per core (`hw/arm/virt.c`).
const REDISTRIBUTORS: usize = 0x080a_0000;
const FRAME_LEN: usize = 0x2_0000;
/// As many frames as the machine has room for.
const FRAMES: usize = 123;

// Offsets in a frame: control page, then the page of SGIs and PPIs (Arm IHI 0069, 12.10 and 12.11).
const TYPER: usize = 0x8;
const WAKER: usize = 0x14;
const IGROUPR0: usize = 0x1_0080;
const ISENABLER0: usize = 0x1_0100;
const ICENABLER0: usize = 0x1_0180;
const ICACTIVER0: usize = 0x1_0380;
const IPRIORITYR: usize = 0x1_0400;

const TYPER_LAST: u64 = 1 << 4;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;
/// Reads of the waker until a redistributor counts as dead; a live one needs a few.
const WAKE_READS: u32 = 1_000_000;
/// What Linux gives ordinary interrupts.
const PRIORITY: u32 = 0xa0a0_a0a0;
/// Interrupt ids from here on say that nothing is pending.
const FIRST_SPECIAL: u32 = 1020;

/// This core has no redistributor, or it does not wake up.
pub struct Unusable;

/// One redistributor, found by affinity.
struct Redistributor {
    base: usize,
}

/// Sets up kick and tick for this core, all else off; gives the core's number.
pub fn init() -> Result<u64, Unusable> {
    let (redistributor, cpu) = Redistributor::of_this_core()?;
    redistributor.wake()?;
    let ours = 1 << KICK | 1 << TICK;
    redistributor.store(ICENABLER0, !ours);
    redistributor.store(ICACTIVER0, u32::MAX);
    redistributor.store(IGROUPR0, u32::MAX);
    redistributor.store(IPRIORITYR + 4, PRIORITY);
    redistributor.store(IPRIORITYR + 24, PRIORITY);
    redistributor.store(ISENABLER0, ours);
    complete_writes();
    write_register!("ICC_SRE_EL1", 7);
    write_register!("ICC_CTLR_EL1", 0);
    write_register!("ICC_BPR1_EL1", 0);
    write_register!("ICC_PMR_EL1", 0xff);
    write_register!("ICC_IGRPEN1_EL1", 1);
    Ok(cpu)
}

/// Lets no interrupt through to this core any more: not even a pending one ends a wait.
pub fn close() {
    write_register!("ICC_IGRPEN1_EL1", 0);
}

/// Takes the pending interrupt, if there is one, and lets the next one come.
///
/// Ended before it is handled: the handler may power the core off, and must not leave the interrupt active.
pub fn take() -> Option<u32> {
    let acknowledged = read_register!("ICC_IAR1_EL1");
    let interrupt = acknowledged as u32 & 0xff_ffff;
    if interrupt >= FIRST_SPECIAL {
        return None;
    }
    complete_writes();
    write_register!("ICC_EOIR1_EL1", acknowledged);
    Some(interrupt)
}

/// Kicks the host: affinity 0.0.0, target list CPU 0. Everything written before is visible to it.
pub fn kick_host() {
    complete_writes();
    write_register!("ICC_SGI1R_EL1", u64::from(KICK) << 24 | 1);
}

impl Redistributor {
    fn of_this_core() -> Result<(Redistributor, u64), Unusable> {
        let mpidr = read_register!("MPIDR_EL1");
        let affinity = (mpidr >> 8 & 0xff00_0000) | (mpidr & 0x00ff_ffff);
        for frame in 0..FRAMES {
            let redistributor = Redistributor { base: REDISTRIBUTORS + frame * FRAME_LEN };
            let kind = redistributor.kind();
            if kind >> 32 == affinity {
                return Ok((redistributor, kind >> 8 & 0xffff));
            }
            if kind & TYPER_LAST != 0 {
                break;
            }
        }
        Err(Unusable)
    }

    fn wake(&self) -> Result<(), Unusable> {
        self.store(WAKER, self.load(WAKER) & !WAKER_PROCESSOR_SLEEP);
        let awake = (0..WAKE_READS).any(|_| self.load(WAKER) & WAKER_CHILDREN_ASLEEP == 0);
        if awake { Ok(()) } else { Err(Unusable) }
    }

    fn kind(&self) -> u64 {
        u64::from(self.load(TYPER + 4)) << 32 | u64::from(self.load(TYPER))
    }

    fn load(&self, at: usize) -> u32 {
        // SAFETY: `at` is one of the offsets above, all inside the frame, which is device memory.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.base + at).read_volatile() }
    }

    fn store(&self, at: usize, value: u32) {
        // SAFETY: as in `load`; the frame belongs to this core alone.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.base + at).write_volatile(value) }
    }
}
