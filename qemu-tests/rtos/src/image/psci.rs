//! PSCI: how a core asks the platform to take it, or all, away.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// A call that does not come back (Arm DEN0022, 5.1).
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Call {
    /// `CPU_OFF`: this core; micrun's state word uses the same number.
    CpuOff = 0x8400_0002,
    /// `SYSTEM_OFF`: the whole board.
    SystemOff = 0x8400_0008,
    /// `SYSTEM_RESET`: the whole board begins again.
    SystemReset = 0x8400_0009,
}

static SMC: AtomicBool = AtomicBool::new(false);

/// Chooses how PSCI is called. Started at EL2 nobody is there to take an HVC, so the platform listens to SMC;
/// started at EL1 a hypervisor, or QEMU in its place, takes HVC.
pub fn use_conduit(from_el2: bool) {
    SMC.store(from_el2, Ordering::Relaxed);
}

/// False in an image for a platform that it does not expect to have PSCI.
pub const AVAILABLE: bool = cfg!(any(not(feature = "rpi4"), feature = "psci"));

/// Ends this core by `call`. If the platform refuses, or is not asked, it sleeps instead.
pub fn end(call: Call) -> ! {
    if !AVAILABLE {
        super::cpu::sleep_forever()
    }
    let call = call as u64;
    if SMC.load(Ordering::Relaxed) {
        // SAFETY: the call takes no memory; if it returns, x0 to x17 may have changed.
        unsafe { asm!("smc #0", inout("x0") call => _, clobber_abi("C"), options(nostack)) };
    } else {
        // SAFETY: as above.
        unsafe { asm!("hvc #0", inout("x0") call => _, clobber_abi("C"), options(nostack)) };
    }
    super::cpu::sleep_forever()
}
