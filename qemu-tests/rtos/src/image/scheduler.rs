//! Three cooperative tasks: each runs when woken, to completion, and the core sleeps when none is.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{System, before_sleep, cpu, poll_link, poll_shell, poll_uptime};

/// A task, in the order in which they run.
#[derive(Clone, Copy)]
pub enum Task {
    /// Rings to input, output to rings.
    Link,
    /// Input to output.
    Shell,
    /// Ticks to uptime.
    Uptime,
}

const POLLS: [fn(&mut System); 3] = [poll_link, poll_shell, poll_uptime];

static WOKEN: [AtomicBool; POLLS.len()] = [const { AtomicBool::new(false) }; POLLS.len()];

/// Has `task` run, again if it is running now. Interrupt handlers may call it.
pub fn wake(task: Task) {
    WOKEN[task as usize].store(true, Ordering::Release);
}

/// Runs the tasks for ever, with interrupts unmasked.
pub fn run(mut system: System) -> ! {
    cpu::unmask_interrupts();
    loop {
        for (woken, poll) in WOKEN.iter().zip(POLLS) {
            if woken.load(Ordering::Acquire) {
                // Cleared first: what wakes the task from here on concerns its next run.
                woken.store(false, Ordering::Release);
                poll(&mut system);
            }
        }
        sleep();
    }
}

/// Sleeps unless a task was woken. Masked in between, so that an interrupt just before the wait still ends it.
fn sleep() {
    cpu::mask_interrupts();
    if !WOKEN.iter().any(|woken| woken.load(Ordering::Acquire)) {
        before_sleep();
        cpu::wait_for_interrupt();
    }
    cpu::unmask_interrupts();
}
