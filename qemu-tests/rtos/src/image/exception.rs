//! Interrupts and faults.

use core::arch::global_asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use openamp::state::{CPU_OFF, Report};
use test_rtos::fault;
use test_rtos::gdb::REGISTERS;

use super::scheduler::{self, Task};
use super::{LINK, cpu, debug, gic, power, psci, table, timer};

global_asm!(include_str!("exception.s"), interrupt = sym interrupt, fault = sym fault);

/// The host's wish to have the core off is ignored.
pub static DEAF: AtomicBool = AtomicBool::new(false);

/// Called for each interrupt, with further ones masked. `registers` are those of the interrupted code, which has them back
/// as they are left.
extern "C" fn interrupt(registers: &mut [u64; REGISTERS]) {
    let Some(interrupt) = gic::take() else { return };
    match interrupt {
        gic::KICK => {
            kicked();
            debug::kicked(registers);
        }
        gic::TICK => {
            timer::tick();
            scheduler::wake(Task::Uptime);
            debug::looked(registers);
        }
        _ => {}
    }
}

/// The host has kicked: it wants the core off, or has news in the rings or the resource table.
///
/// Runs in the interrupt handler, so that the core goes off whatever its tasks are doing.
pub fn kicked() {
    if psci::AVAILABLE && table::state() == CPU_OFF && !DEAF.load(Ordering::Relaxed) {
        power::off();
    }
    scheduler::wake(Task::Link);
}

/// Called for every other exception: says what happened, reports it, powers off.
extern "C" fn fault(syndrome: u64, pc: u64) -> ! {
    static FAULTED: AtomicBool = AtomicBool::new(false);
    let class = fault::class(syndrome);
    // A fault in here leaves the line out.
    if !FAULTED.load(Ordering::Relaxed) {
        FAULTED.store(true, Ordering::Relaxed);
        LINK.with(|link| link.print_last(fault::line(class, pc).as_slice()));
    }
    power::off_with(Report::Fault(class))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cpu::breakpoint()
}
