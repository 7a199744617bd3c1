//! The core and what surrounds it: start-up, interrupts, tasks, the link to the host, power-off.
//!
//! The MMU stays off, so all memory is device memory: aligned accesses only (the core is told to fault on others) and
//! no exclusive accesses, hence atomics are only loaded and stored here, never read-modify-written.

mod boot;
mod cpu;
mod debug;
mod exception;
mod exclusive;
#[cfg_attr(feature = "rpi4", path = "gic400.rs")]
mod gic;
mod link;
mod power;
mod psci;
mod scheduler;
mod table;
mod timer;

use core::sync::atomic::Ordering;

use openamp::state::Report;
use test_rtos::fault;
use test_rtos::rpc::Calls;
use test_rtos::shell::{Action, Input, Output, Shell};

use exclusive::Exclusive;
use link::{Link, SharedBulk};
use psci::Call;
use scheduler::Task;

/// Reachable from the fault handler too, which has to print a last line.
static LINK: Exclusive<Link> = Exclusive::new(Link::new());

/// What the tasks share.
struct System {
    shell: Shell,
    input: Input,
    output: Output,
    calls: Calls,
    bulk: SharedBulk,
    /// Tenths of a second since start.
    uptime: u64,
}

/// The first Rust code of the core; runs once, on the stack, with interrupts masked.
extern "C" fn start(from_el2: bool) -> ! {
    psci::use_conduit(from_el2);
    let Ok(cpu) = gic::init() else { power::off_with(Report::Fault(fault::NO_INTERRUPTS)) };
    timer::start();
    let system = System {
        shell: Shell::new(cpu),
        input: Input::new(),
        output: Output::new(),
        calls: Calls::default(),
        bulk: link::bulk(),
        uptime: 0,
    };
    // The host may have asked for the end, or made its rings, before interrupts were on.
    exception::kicked();
    scheduler::run(system)
}

/// Moves bytes between the rings and the shell.
fn poll_link(system: &mut System) {
    let System { input, output, calls, bulk, .. } = system;
    let moved = LINK.with(|link| link.poll(input, output, calls, bulk));
    match moved {
        Some(Ok(true)) => scheduler::wake(Task::Shell),
        Some(Err(_)) => power::off_with(Report::Fault(fault::PROTOCOL)),
        Some(Ok(false)) | None => {}
    }
}

/// Lets the shell read and print; what it prints, and the room it makes for input, is for the link.
fn poll_shell(system: &mut System) {
    let waiting = system.input.room();
    let System { shell, input, output, calls, bulk, uptime } = system;
    let action = shell.poll(input, output, calls, bulk, *uptime);
    exception::DEAF.store(shell.deaf, Ordering::Relaxed);
    let all_sent = output.is_empty() && calls.request.is_empty() && bulk.descriptor.is_empty();
    if !all_sent || input.room() != waiting {
        scheduler::wake(Task::Link);
    }
    if let Some(action) = action.filter(|_| all_sent) {
        act(action);
    }
}

/// Notes the ticks that have passed.
fn poll_uptime(system: &mut System) {
    system.uptime = timer::ticks();
}

/// Kicks the host for all that the tasks have done. Runs with interrupts masked.
fn before_sleep() {
    if let Some(Err(_)) = LINK.with(Link::kick) {
        power::off_with(Report::Fault(fault::PROTOCOL));
    }
}

/// From now on nothing happens; what was printed before is still heard.
fn last_word() {
    cpu::mask_interrupts();
    before_sleep();
}

fn act(action: Action) -> ! {
    match action {
        Action::Exit(code) => power::off_with(Report::Exit(code)),
        Action::Crash => cpu::fault(),
        Action::Hog => cpu::take_all_memory(),
        Action::Hang => {
            last_word();
            gic::close();
            cpu::sleep_forever()
        }
        Action::Off => {
            last_word();
            psci::end(Call::SystemOff)
        }
        Action::Reset => {
            last_word();
            psci::end(Call::SystemReset)
        }
    }
}
