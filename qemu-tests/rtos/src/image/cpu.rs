//! The instructions that Rust has no word for.

use core::arch::asm;

/// Reads a system register.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading this register has no effect on memory.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

/// Writes a system register, with effect before the next instruction.
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the register belongs to this core's interrupts or timer, which only this image uses.
        unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), "isb", in(reg) value, options(nostack)) };
    }};
}

pub(super) use {read_register, write_register};

/// Keeps interrupts pending from here on.
pub fn mask_interrupts() {
    // SAFETY: masking only delays the handler.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
}

/// Lets interrupts in, those that are pending at once.
pub fn unmask_interrupts() {
    // SAFETY: the vectors are in place since the first instructions.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
}

/// Sleeps until an interrupt is pending, masked or not. All writes have reached memory before.
pub fn wait_for_interrupt() {
    // SAFETY: both only wait.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) };
}

/// All writes have reached memory when this returns; a barrier alone would not order them with a system register.
pub fn complete_writes() {
    // SAFETY: it only waits.
    unsafe { asm!("dsb sy", options(nostack)) };
}

/// Sleeps and never comes back.
pub fn sleep_forever() -> ! {
    mask_interrupts();
    loop {
        wait_for_interrupt();
    }
}

/// Faults: loads a word from an odd address, which this core always refuses (`SCTLR_EL1.A`).
pub fn fault() -> ! {
    // SAFETY: the load faults, and the fault handler does not return.
    unsafe { asm!("ldr {0}, [{0}]", "b .", in(reg) 1u64, options(noreturn)) }
}

/// Writes one word to each page behind the image, until the board has no more memory: that is a fault.
pub fn take_all_memory() -> ! {
    mask_interrupts();
    // SAFETY: nothing behind the image is this program's, and the store that finds no memory faults; the fault handler
    // does not return.
    unsafe {
        asm!("ldr x0, =__stack_top", "2: add x0, x0, #4096", "str xzr, [x0]", "b 2b", options(noreturn))
    }
}

/// Where a panic ends: the breakpoint exception, which is reported like any other fault.
pub fn breakpoint() -> ! {
    // SAFETY: the instruction faults, and the fault handler does not return.
    unsafe { asm!("brk #0", "b .", options(noreturn)) }
}
