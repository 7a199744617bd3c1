//! The end, in good order or not.

use openamp::state::Report;

use super::psci::{self, Call};
use super::{cpu, gic, table, timer};

/// Powers the core off, as the host asked.
pub fn off() -> ! {
    cpu::mask_interrupts();
    timer::stop();
    gic::close();
    psci::end(Call::CpuOff)
}

/// Tells the host why, then powers the core off.
pub fn off_with(report: Report) -> ! {
    cpu::mask_interrupts();
    table::announce_off(report);
    gic::kick_host();
    off()
}
