//! The same for the GIC-400 of the Raspberry Pi 4, a GICv2: this core's banked part of the distributor, and its interface.
//!
//! Groups are left alone: in the group in which the machine begins, interrupts arrive.

use super::cpu::{complete_writes, read_register};

/// The host's kick, and ours to CPU 0: SGI 7, as in MICA.
pub const KICK: u32 = 7;
/// The virtual timer's PPI.
pub const TICK: u32 = 27;

/// BCM2711 ARM Peripherals, 6.5.
const DISTRIBUTOR: usize = 0xff84_1000;
const INTERFACE: usize = 0xff84_2000;

// Offsets in the distributor, then in the interface (Arm IHI 0048, 4.1).
const ISENABLER0: usize = 0x100;
const ICENABLER0: usize = 0x180;
const ICACTIVER0: usize = 0x380;
const IPRIORITYR: usize = 0x400;
const SGIR: usize = 0xf00;
const CTLR: usize = 0x0;
const PMR: usize = 0x4;
const IAR: usize = 0xc;
const EOIR: usize = 0x10;

/// What Linux gives ordinary interrupts.
const PRIORITY: u32 = 0xa0a0_a0a0;
/// Interrupt ids from here on say that nothing is pending.
const FIRST_SPECIAL: u32 = 1020;

/// Never: what is there answers.
pub struct Unusable;

/// Sets up kick and tick for this core, all else off; gives the core's number.
pub fn init() -> Result<u64, Unusable> {
    let ours = 1 << KICK | 1 << TICK;
    store(DISTRIBUTOR + ICENABLER0, !ours);
    store(DISTRIBUTOR + ICACTIVER0, u32::MAX);
    store(DISTRIBUTOR + IPRIORITYR + 4, PRIORITY);
    store(DISTRIBUTOR + IPRIORITYR + 24, PRIORITY);
    store(DISTRIBUTOR + ISENABLER0, ours);
    store(INTERFACE + PMR, 0xff);
    store(INTERFACE + CTLR, 1);
    complete_writes();
    Ok(read_register!("MPIDR_EL1") & 3)
}

/// Lets no interrupt through to this core any more: not even a pending one ends a wait.
pub fn close() {
    store(INTERFACE + CTLR, 0);
}

/// Takes the pending interrupt, if there is one, and lets the next one come.
pub fn take() -> Option<u32> {
    // Of an SGI it says who sent it, too, which its end has to repeat.
    let acknowledged = load(INTERFACE + IAR);
    let interrupt = acknowledged & 0x3ff;
    if interrupt >= FIRST_SPECIAL {
        return None;
    }
    complete_writes();
    store(INTERFACE + EOIR, acknowledged);
    Some(interrupt)
}

/// Kicks the host: target list CPU 0. Everything written before is visible to it.
pub fn kick_host() {
    complete_writes();
    store(DISTRIBUTOR + SGIR, 1 << 16 | KICK);
}

fn load(addr: usize) -> u32 {
    // SAFETY: one of the registers above, which are device memory.
    unsafe { core::ptr::with_exposed_provenance::<u32>(addr).read_volatile() }
}

fn store(addr: usize, value: u32) {
    // SAFETY: as in `load`; what is not banked per core only sends.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(addr).write_volatile(value) }
}
