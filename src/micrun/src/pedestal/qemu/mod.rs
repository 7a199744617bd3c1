//! The `qemu` pedestal: a core emulated in QEMU's `virt` board, the embedded default, or in its `raspi4b` for firmware of
//! the Raspberry Pi 4.
//!
//! Guest RAM is a memfd that both QEMU and we map; the agent runs on core 0, the firmware on its own core; doorbells
//! are an ivshmem device, or a serial line. A machine lives for one start: the emulator does not see code that is rewritten under it.
//! Everything QEMU needs is an inherited descriptor, so nothing has a name on disk that could be left behind.

mod agent;
mod doorbell;
mod emulator;
mod ivshmem;
#[path = "../../../agent/mailbox.rs"]
mod mailbox;
mod qmp;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use shmem::Mapping;

use super::group::Group;
use super::nursery::Nursery;
use super::ram::Ram;
use super::{Affinity, Control, Death, Machine, MachineError, Process};
use agent::Agent;
use doorbell::Doorbell;
use emulator::Emulator;
use firmware::board;

/// From `exec` to an answering agent takes 40 to 560 ms on busy machines (measured); slower means broken.
const BOOT_DEADLINE: Duration = Duration::from_secs(20);

/// One emulated board whose firmware runs on core `cpu`.
#[derive(Debug)]
pub struct Qemu {
    machine: board::Machine,
    cpu: u32,
    ram: Ram,
    doorbell: Doorbell,
    agent: Agent,
    nursery: Nursery,
    emulator: Option<Emulator>,
    /// Dropped behind the emulator, which is in it.
    group: Option<Arc<Group>>,
}

impl Qemu {
    /// Prepares RAM, doorbells and agent. No process is started.
    pub fn new(
        machine: board::Machine,
        cpu: u32,
        nursery: Nursery,
        group: Option<Arc<Group>>,
    ) -> Result<Qemu, MachineError> {
        let ram = Ram::new(machine)?;
        let agent = Agent::load(&ram, machine)?;
        Ok(Qemu {
            machine,
            cpu,
            ram,
            doorbell: Doorbell::new(machine)?,
            agent,
            nursery,
            emulator: None,
            group,
        })
    }
}

impl Machine for Qemu {
    fn map(&self, pa: u64, len: usize) -> Result<Mapping, MachineError> {
        self.ram.map(pa, len)
    }

    fn zeroed(&self) -> bool {
        true
    }

    fn boot(&mut self, entry: u64, give_up: &dyn Fn() -> bool) -> Result<(), MachineError> {
        let mut emulator =
            Emulator::start(&self.ram, &self.doorbell, (self.machine, self.cpu), &self.nursery)?;
        if let Some(group) = &self.group {
            // Before the firmware runs: what it touches is its own.
            group.add(emulator.process().pid)?;
        }
        let mut hopeless = || emulator.early_end().or_else(|| give_up().then_some(MachineError::GivenUp));
        self.agent.wait_ready(&self.doorbell, BOOT_DEADLINE, &mut hopeless)?;
        self.agent.cpu_on(&self.doorbell, self.cpu, entry, BOOT_DEADLINE, &mut hopeless)?;
        self.emulator = Some(emulator);
        Ok(())
    }

    fn kick(&self) {
        self.doorbell.kick();
    }

    fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.bell()
    }

    fn silence(&self) {
        self.doorbell.silence();
    }

    fn ask_affinity(&mut self) {
        if let Err(error) = self.agent.ask_affinity(&self.doorbell, self.cpu) {
            log::error!("core {}: {error}", self.cpu);
        }
    }

    fn affinity(&self) -> Option<Affinity> {
        self.agent.affinity()
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.emulator.as_ref().map(Emulator::pidfd)
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        self.emulator.as_ref().map(Emulator::news)
    }

    fn death(&mut self) -> Option<Death> {
        self.emulator.as_mut()?.death()
    }

    fn cut_power(&mut self) {
        if let Some(emulator) = &mut self.emulator {
            emulator.kill();
        }
    }

    fn process(&self) -> Option<Process> {
        self.emulator.as_ref().map(Emulator::process)
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        self.emulator.as_ref().map(Emulator::control)
    }
}
