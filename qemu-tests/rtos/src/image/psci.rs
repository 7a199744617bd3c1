//! PSCI: how a core asks the platform to take it away.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// `CPU_OFF` (Arm DEN0022, 5.1.4); micrun's state word uses the same number.
const CPU_OFF: u64 = 0x8400_0002;

static SMC: AtomicBool = AtomicBool::new(false);

/// Chooses how PSCI is called. Started at EL2 nobody is there to take an HVC, so the platform listens to SMC;
/// started at EL1 a hypervisor, or QEMU in its place, takes HVC.
pub fn use_conduit(from_el2: bool) {
    SMC.store(from_el2, Ordering::Relaxed);
}

/// Powers this core off. If the platform refuses, it sleeps instead.
pub fn cpu_off() -> ! {
    if SMC.load(Ordering::Relaxed) {
        // SAFETY: the call takes no memory; if it returns, x0 to x17 may have changed.
        unsafe { asm!("smc #0", inout("x0") CPU_OFF => _, clobber_abi("C"), options(nostack)) };
    } else {
        // SAFETY: as above.
        unsafe { asm!("hvc #0", inout("x0") CPU_OFF => _, clobber_abi("C"), options(nostack)) };
    }
    super::cpu::sleep_forever()
}
