//! The agent for QEMU's machine `raspi4b`: plays secure firmware and Linux towards firmware made for the Raspberry Pi 4.
//!
//! All cores begin here, at EL3. Core 0 passes kicks on: a byte of the host at the first UART becomes SGI 7 on the
//! firmware's core, SGI 7 on core 0 becomes a byte for the host; another byte announces a command in the mailbox. The
//! other cores wait until they are to start, go to EL2 as secure firmware hands cores to Linux, and come back by PSCI.
//!
//! The machine's GIC-400 has no security extension: all interrupts are in group 0, and firmware that knows no groups
//! works. Bare metal, no MMU, one small stack per core. Addresses: BCM2711 ARM Peripherals, `hw/arm/bcm2838.c`.
#![no_std]
#![no_main]

#[path = "../mailbox.rs"]
mod mailbox;

use core::arch::{asm, global_asm};

use mailbox::{AFFINITY_INFO, CPU_ON};

const GICD: u64 = 0xff84_1000;
const GICD_CTLR: u64 = GICD;
const GICD_ISENABLER: u64 = GICD + 0x100;
const GICD_IPRIORITYR: u64 = GICD + 0x400;
const GICD_ITARGETSR: u64 = GICD + 0x800;
const GICD_SGIR: u64 = GICD + 0xf00;
const GICC: u64 = 0xff84_2000;
const GICC_CTLR: u64 = GICC;
const GICC_PMR: u64 = GICC + 0x4;
const GICC_IAR: u64 = GICC + 0xc;
const GICC_EOIR: u64 = GICC + 0x10;

/// The first UART, a PL011, and its interrupt: GIC_SPI 121.
const UART: u64 = 0xfe20_1000;
const UART_DR: u64 = UART;
const UART_FR: u64 = UART + 0x18;
const UART_LCRH: u64 = UART + 0x2c;
const UART_CR: u64 = UART + 0x30;
const UART_IMSC: u64 = UART + 0x38;
const UART_ICR: u64 = UART + 0x44;
const UART_INTERRUPT: u32 = 32 + 121;

/// Power management: how the board resets itself, or stays off.
const PM_RSTC: u64 = 0xfe10_001c;
const PM_RSTS: u64 = 0xfe10_0020;
const PM_PASSWORD: u32 = 0x5a00_0000;

/// The SGI that MICA uses in both directions.
const SGI_KICK: u32 = 7;
/// What Linux gives ordinary interrupts.
const PRIORITY: u32 = 0xa0a0_a0a0;

/// States of a core as `AFFINITY_INFO` answers.
const ON: u32 = 0;
const OFF: u32 = 1;

const PSCI_VERSION: u32 = 0x8400_0000;
const CPU_OFF: u32 = 0x8400_0002;
const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;
const NOT_SUPPORTED: i64 = -1;
const INVALID: i32 = -2;
const ALREADY_ON: i32 = -4;
const CORES: u32 = 4;

global_asm!(
    include_str!("start.s"),
    bridge = sym bridge,
    park = sym park,
    psci = sym psci,
    lost = sym lost,
);

unsafe extern "C" {
    /// Leaves EL3 for EL2 at `entry`. A PSCI call comes back on an empty stack.
    fn enter(entry: u64) -> !;
}

fn read32(addr: u64) -> u32 {
    // SAFETY: the callers pass addresses of registers and of the mailbox, which exist on this machine.
    unsafe { (addr as *const u32).read_volatile() }
}

fn write32(addr: u64, value: u32) {
    // SAFETY: as for `read32`.
    unsafe { (addr as *mut u32).write_volatile(value) }
}

fn mailbox(field: usize) -> u64 {
    mailbox::RASPI4B_AGENT + mailbox::MAILBOX + field as u64
}

/// A core's own words: its state, and where it is to start.
fn core_word(cpu: u32, word: u32) -> u64 {
    mailbox(mailbox::CORES) + u64::from(cpu * 16 + word)
}

/// Makes earlier writes visible to the other cores, devices and the host process.
fn barrier() {
    // SAFETY: a barrier has no operands.
    unsafe { asm!("dsb sy", "isb") }
}

/// Core 0: never comes back.
extern "C" fn bridge() -> ! {
    for cpu in 1..CORES {
        write32(core_word(cpu, 0), OFF);
    }
    barrier();
    start_interrupts();
    write32(mailbox(mailbox::STATUS), mailbox::READY);
    ring_host();
    let mut firmware = 0;
    loop {
        barrier();
        // SAFETY: interrupts are masked, so this only waits until one is pending.
        unsafe { asm!("wfi") };
        let acknowledged = read32(GICC_IAR);
        match acknowledged & 0x3ff {
            SGI_KICK => ring_host(),
            UART_INTERRUPT => take_bytes(&mut firmware),
            _ => {}
        }
        if acknowledged & 0x3ff < 1020 {
            write32(GICC_EOIR, acknowledged);
        }
    }
}

/// What Linux does on a board before a second system runs: distributor on, core 0's interrupts enabled.
fn start_interrupts() {
    write32(GICD_CTLR, 1);
    write32(GICD_IPRIORITYR + 4, PRIORITY);
    let index = u64::from(UART_INTERRUPT);
    let (word, byte) = (index & !3, index & 3);
    write32(GICD_IPRIORITYR + word, PRIORITY);
    write32(GICD_ITARGETSR + word, 1 << (8 * byte));
    write32(GICD_ISENABLER, 1 << SGI_KICK);
    write32(GICD_ISENABLER + 4 * (index / 32), 1 << (index % 32));
    write32(GICC_PMR, 0xff);
    write32(GICC_CTLR, 1);
    // Eight bits, FIFOs; receive and receive timeout interrupts; transmitter, receiver, all of it on.
    write32(UART_LCRH, 0x70);
    write32(UART_IMSC, 1 << 4 | 1 << 6);
    write32(UART_CR, 1 << 9 | 1 << 8 | 1);
}

/// Takes the host's bytes. The interrupt is cleared first: a byte that comes in between raises it anew.
fn take_bytes(firmware: &mut u32) {
    write32(UART_ICR, 0x7ff);
    barrier();
    let (mut kicked, mut commanded) = (false, false);
    // The receiver has something.
    while read32(UART_FR) & 1 << 4 == 0 {
        match read32(UART_DR) as u8 {
            mailbox::BYTE_KICK => kicked = true,
            mailbox::BYTE_COMMAND => commanded = true,
            _ => {}
        }
    }
    if commanded {
        command(firmware);
    }
    if kicked && *firmware != 0 {
        barrier();
        write32(GICD_SGIR, 1 << (16 + *firmware) | SGI_KICK);
    }
}

/// Carries out the host's command, once however often it is announced.
fn command(firmware: &mut u32) {
    let number = read32(mailbox(mailbox::COMMAND));
    if number == read32(mailbox(mailbox::REPLY)) {
        return;
    }
    barrier();
    let cpu = read32(mailbox(mailbox::CPU));
    let known = (1..CORES).contains(&cpu);
    let result = match read32(mailbox(mailbox::OPERATION)) {
        CPU_ON if known => {
            *firmware = cpu;
            start_core(cpu)
        }
        AFFINITY_INFO if known => read32(core_word(cpu, 0)) as i32,
        _ => INVALID,
    };
    write32(mailbox(mailbox::RESULT), result as u32);
    barrier();
    write32(mailbox(mailbox::REPLY), number);
    ring_host();
}

fn start_core(cpu: u32) -> i32 {
    if read32(core_word(cpu, 0)) != OFF {
        return ALREADY_ON;
    }
    write32(core_word(cpu, 4), read32(mailbox(mailbox::ENTRY)));
    write32(core_word(cpu, 8), read32(mailbox(mailbox::ENTRY) + 4));
    barrier();
    write32(core_word(cpu, 0), ON);
    barrier();
    // SAFETY: wakes the cores that wait.
    unsafe { asm!("sev") };
    0
}

fn ring_host() {
    barrier();
    // The transmitter has room.
    while read32(UART_FR) & 1 << 5 != 0 {}
    write32(UART_DR, u32::from(mailbox::BYTE_RING));
}

/// Another core, or one whose firmware has switched it off: waits until it is to start.
extern "C" fn park(cpu: u32) -> ! {
    // The state is written by core 0 before it is looked at here, or it is not `ON`: RAM begins as zeroes, and so does
    // the status word, which says that core 0 was there.
    while read32(mailbox(mailbox::STATUS)) != mailbox::READY || read32(core_word(cpu, 0)) != ON {
        // SAFETY: waits for `sev`, or for nothing: it is looked again either way.
        unsafe { asm!("wfe") };
    }
    barrier();
    let entry = u64::from(read32(core_word(cpu, 4))) | u64::from(read32(core_word(cpu, 8))) << 32;
    // SAFETY: nothing of this core's Rust code is needed any more; where it goes is the host's word.
    unsafe { enter(entry) }
}

/// A PSCI call of the firmware on core `cpu`. Comes back unless the core is off.
extern "C" fn psci(function: u64, argument: u64, cpu: u32) -> i64 {
    match function as u32 {
        PSCI_VERSION => 0x1_0001,
        CPU_OFF => off(cpu),
        f if f == AFFINITY_INFO || f == AFFINITY_INFO & !(1 << 30) => match argument as u32 & 0xff {
            other if other < CORES && other != 0 => i64::from(read32(core_word(other, 0))),
            0 => i64::from(ON),
            _ => i64::from(INVALID),
        },
        SYSTEM_OFF => end(0x555),
        SYSTEM_RESET => end(0),
        _ => NOT_SUPPORTED,
    }
}

fn off(cpu: u32) -> ! {
    write32(core_word(cpu, 0), OFF);
    barrier();
    // The host looks at the core's state when it is rung.
    ring_host();
    park(cpu)
}

/// Resets the whole board; with the "halt" partition, it stays off.
fn end(partition: u32) -> ! {
    write32(PM_RSTS, PM_PASSWORD | partition);
    write32(PM_RSTC, PM_PASSWORD | 0x20);
    loop {
        // SAFETY: waits; the board is on its way out.
        unsafe { asm!("wfi") };
    }
}

/// Anything else that came to EL3: the core is as good as off.
extern "C" fn lost(cpu: u32) -> ! {
    off(cpu)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        // SAFETY: waits; the host sees that the agent does not answer.
        unsafe { asm!("wfe") };
    }
}
