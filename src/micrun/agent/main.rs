//! The agent: plays Linux's part towards the firmware on core 0 of the emulated board.
//!
//! The firmware believes that Linux runs next to it: it is started by PSCI, its kicks are SGI 7 to core 0, kicks for it
//! are SGI 7 on its own core. The agent starts it on the host's command and forwards its kicks to the host process
//! through an ivshmem doorbell. It sleeps in WFI in between and never polls.
//!
//! Kicks from the host do not pass here: the doorbell's MSI-X entry 0 writes straight into the interrupt controller and
//! pends SGI 7 on the firmware's core (a property of GICv3's registers under TCG, not of KVM).
//!
//! Bare metal, no MMU, stack only. Addresses are those of QEMU's `virt` machine (`hw/arm/virt.c`, `highmem=off`).
#![no_std]
#![no_main]

mod mailbox;

use core::arch::{asm, global_asm};

const GICD: u64 = 0x0800_0000;
const GICD_CTLR: u64 = GICD;
const GICR: u64 = 0x080a_0000;
const GICR_STRIDE: u64 = 0x2_0000;
const GICR_WAKER: u64 = GICR + 0x14;
const GICR_IGROUPR0: u64 = GICR + 0x1_0080;
const GICR_ISENABLER0: u64 = GICR + 0x1_0100;
/// "Set pending" register of a core's SGIs, from the core's redistributor frame on.
const ISPENDR0: u64 = 0x1_0200;

/// The SGI that MICA uses in both directions.
const SGI_KICK: u32 = 7;
/// The SGI that the host pends on core 0 for a command.
const SGI_COMMAND: u32 = 8;

/// Configuration space of PCI device 1, function 0.
const PCI_DEVICE: u64 = 0x3f00_0000 + (1 << 15);
const IVSHMEM_ID: u32 = 0x1110_1af4;
const BAR_REGISTERS: u64 = 0x1000_0000;
const BAR_MSIX: u64 = 0x1000_1000;
/// Doorbell register of ivshmem: peer in the upper half, vector in the lower.
const DOORBELL: u64 = BAR_REGISTERS + 12;
const CAPABILITY_MSIX: u32 = 0x11;

global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "adrp x0, stack_top",
    "add sp, x0, :lo12:stack_top",
    "b {main}",
    main = sym main,
);

fn read32(addr: u64) -> u32 {
    // SAFETY: the callers pass addresses of registers and of the mailbox, which exist on this machine.
    unsafe { (addr as *const u32).read_volatile() }
}

fn write32(addr: u64, value: u32) {
    // SAFETY: as for `read32`.
    unsafe { (addr as *mut u32).write_volatile(value) }
}

fn mailbox(field: usize) -> u64 {
    mailbox::VIRT_AGENT + mailbox::MAILBOX + field as u64
}

/// Makes earlier writes visible to the other cores, devices and the host process.
fn barrier() {
    // SAFETY: a barrier has no operands.
    unsafe { asm!("dsb sy", "isb") }
}

extern "C" fn main() -> ! {
    let status = match start() {
        Ok(()) => mailbox::READY,
        Err(step) => mailbox::READY_FAILED | step,
    };
    write32(mailbox(mailbox::STATUS), status);
    ring_host();
    loop {
        barrier();
        // SAFETY: interrupts are masked, so this only waits until one is pending.
        unsafe { asm!("wfi") };
        serve();
    }
}

/// Takes the one pending interrupt and does what it asks for.
fn serve() {
    let interrupt: u64;
    // SAFETY: acknowledging an interrupt touches nothing but the interrupt controller.
    unsafe { asm!("mrs {}, icc_iar1_el1", "dsb sy", out(reg) interrupt) };
    match interrupt as u32 {
        SGI_KICK => ring_host(),
        SGI_COMMAND => command(),
        _ => {}
    }
    if interrupt < 1020 {
        // SAFETY: ends exactly the interrupt acknowledged above.
        unsafe { asm!("msr icc_eoir1_el1, {}", in(reg) interrupt) };
    }
}

/// Carries out the host's command, once however often it rings.
fn command() {
    let number = read32(mailbox(mailbox::COMMAND));
    if number == read32(mailbox(mailbox::REPLY)) {
        return;
    }
    barrier();
    let operation = read32(mailbox(mailbox::OPERATION));
    let cpu = read32(mailbox(mailbox::CPU));
    let entry = mailbox(mailbox::ENTRY);
    let entry = u64::from(read32(entry)) | u64::from(read32(entry + 4)) << 32;
    if operation == mailbox::CPU_ON {
        route_kicks(cpu);
    }
    let argument = if operation == mailbox::CPU_ON { entry } else { 0 };
    write32(mailbox(mailbox::RESULT), psci(operation, cpu.into(), argument) as u32);
    barrier();
    write32(mailbox(mailbox::REPLY), number);
    ring_host();
}

fn ring_host() {
    barrier();
    write32(DOORBELL, u32::from(mailbox::HOST_PEER) << 16);
}

fn psci(function: u32, cpu: u64, argument: u64) -> i64 {
    let result: i64;
    // SAFETY: a PSCI call changes x0 to x3 only (SMCCC: x0 to x17, all declared clobbered).
    unsafe {
        asm!(
            "hvc #0",
            inlateout("x0") u64::from(function) => result,
            inlateout("x1") cpu => _, inlateout("x2") argument => _, inlateout("x3") 0_u64 => _,
            out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _,
            out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
        );
    }
    result
}

fn start() -> Result<(), u32> {
    start_interrupts();
    start_doorbell()
}

/// What Linux does on a board before a second system runs: distributor on, this core's SGIs enabled.
fn start_interrupts() {
    const ARE: u32 = 1 << 4;
    const ENABLE_GROUP1: u32 = 1 << 1;
    write32(GICD_CTLR, ARE);
    write32(GICD_CTLR, ARE | ENABLE_GROUP1);
    // Bit 1: processor sleeps; bit 2: its redistributor still does.
    write32(GICR_WAKER, read32(GICR_WAKER) & !(1 << 1));
    while read32(GICR_WAKER) & (1 << 2) != 0 {}
    write32(GICR_IGROUPR0, !0);
    write32(GICR_ISENABLER0, 1 << SGI_KICK | 1 << SGI_COMMAND);
    // SAFETY: switches this core's interrupt interface on; interrupts stay masked in the core.
    unsafe {
        asm!(
            "msr icc_sre_el1, {sre}", "isb", "msr icc_pmr_el1, {pmr}", "msr icc_igrpen1_el1, {one}", "isb",
            sre = in(reg) 7_u64, pmr = in(reg) 0xff_u64, one = in(reg) 1_u64,
        );
    }
}

/// Finds the ivshmem device and points its MSI-X entries at the interrupt controller.
fn start_doorbell() -> Result<(), u32> {
    if read32(PCI_DEVICE) != IVSHMEM_ID {
        return Err(1);
    }
    write32(PCI_DEVICE + 0x10, BAR_REGISTERS as u32);
    write32(PCI_DEVICE + 0x14, BAR_MSIX as u32);
    // Memory accesses answered, and bus master: MSI-X messages are writes of the device's own.
    write32(PCI_DEVICE + 0x04, 0b110);
    let capability = find_capability(CAPABILITY_MSIX).ok_or(2_u32)?;
    point(mailbox::VECTOR_COMMAND, GICR + ISPENDR0, 1 << SGI_COMMAND);
    route_kicks(0);
    write32(capability, read32(capability) | 1 << 31);
    Ok(())
}

/// Points the host's kicks at core `cpu`.
fn route_kicks(cpu: u32) {
    point(mailbox::VECTOR_KICK, GICR + GICR_STRIDE * u64::from(cpu) + ISPENDR0, 1 << SGI_KICK);
}

/// Makes MSI-X entry `vector` write `data` to `addr`.
fn point(vector: u16, addr: u64, data: u32) {
    let entry = BAR_MSIX + 16 * u64::from(vector);
    write32(entry, addr as u32);
    write32(entry + 4, (addr >> 32) as u32);
    write32(entry + 8, data);
    write32(entry + 12, 0);
}

/// Walks the list of PCI capabilities, of which there can be 48 at most.
fn find_capability(wanted: u32) -> Option<u64> {
    let mut at = read32(PCI_DEVICE + 0x34) & 0xfc;
    for _ in 0..48 {
        if at == 0 {
            break;
        }
        let capability = PCI_DEVICE + u64::from(at);
        let head = read32(capability);
        if head & 0xff == wanted {
            return Some(capability);
        }
        at = head >> 8 & 0xfc;
    }
    None
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        // SAFETY: waits; the host sees that the agent does not answer.
        unsafe { asm!("wfe") };
    }
}
