//! The host's end of the agent on core 0: commands through the mailbox page.

use std::time::{Duration, Instant};

use firmware::board::Machine;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shmem::{Fault, Mapping, Memory, barrier};

use super::super::ram::Ram;
use super::super::{Affinity, MachineError};
use super::doorbell::Doorbell;
use super::mailbox as m;

/// The agents' code, built by `build.rs`.
static VIRT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.bin"));
static RASPI4B: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent-raspi4b.bin"));

/// While an answer is owed the mailbox is looked at this often even if no doorbell rings: a ring before QEMU knows
/// the peer is lost silently.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Where the agent begins.
pub(super) fn address(machine: Machine) -> u64 {
    match machine {
        Machine::Virt => m::VIRT_AGENT,
        Machine::Raspi4b => m::RASPI4B_AGENT,
    }
}

/// The mailbox page, and what was written there last.
#[derive(Debug)]
pub(super) struct Agent {
    mailbox: Mapping,
    /// Number of the last command.
    number: u32,
    /// The last command was [`m::AFFINITY_INFO`].
    asked: bool,
}

impl Agent {
    /// Puts the agent into guest RAM.
    pub(super) fn load(ram: &Ram, machine: Machine) -> Result<Agent, MachineError> {
        let image = match machine {
            Machine::Virt => VIRT,
            Machine::Raspi4b => RASPI4B,
        };
        ram.write(address(machine), image)?;
        Ok(Agent { mailbox: ram.map(address(machine) + m::MAILBOX, m::LEN)?, number: 0, asked: false })
    }

    /// Waits until the agent serves. `ended` is asked now and then whether there is any point in waiting.
    pub(super) fn wait_ready(
        &self,
        doorbell: &Doorbell,
        deadline: Duration,
        ended: impl FnMut() -> Option<MachineError>,
    ) -> Result<(), MachineError> {
        let ready = |status| status != 0;
        let status = self.wait(m::STATUS, ready, "the agent on core 0", doorbell, deadline, ended)?;
        if status == m::READY { Ok(()) } else { Err(MachineError::Agent(status & 0xff)) }
    }

    /// Starts core `cpu` at `entry` and waits for the result.
    pub(super) fn cpu_on(
        &mut self,
        doorbell: &Doorbell,
        cpu: u32,
        entry: u64,
        deadline: Duration,
        ended: impl FnMut() -> Option<MachineError>,
    ) -> Result<(), MachineError> {
        self.command(doorbell, m::CPU_ON, cpu, entry)?;
        let number = self.number;
        self.wait(
            m::REPLY,
            |reply| reply == number,
            "the agent, asked for CPU_ON",
            doorbell,
            deadline,
            ended,
        )?;
        match self.result()? {
            0 => Ok(()),
            code => Err(MachineError::Refused { cpu, code }),
        }
    }

    /// Asks whether core `cpu` is on.
    pub(super) fn ask_affinity(&mut self, doorbell: &Doorbell, cpu: u32) -> Result<(), MachineError> {
        self.command(doorbell, m::AFFINITY_INFO, cpu, 0)
    }

    /// The answer to the last question.
    pub(super) fn affinity(&self) -> Option<Affinity> {
        let reply = self.mailbox.window().load_u32(m::REPLY).ok()?;
        if !self.asked || reply != self.number {
            return None;
        }
        barrier::read();
        match self.result().ok()? {
            0 => Some(Affinity::On),
            1 => Some(Affinity::Off),
            _ => Some(Affinity::Pending),
        }
    }

    fn command(
        &mut self,
        doorbell: &Doorbell,
        operation: u32,
        cpu: u32,
        entry: u64,
    ) -> Result<(), MachineError> {
        let number = self.number.wrapping_add(1);
        self.write_command(number, operation, cpu, entry).map_err(outside)?;
        self.number = number;
        self.asked = operation == m::AFFINITY_INFO;
        doorbell.command();
        Ok(())
    }

    fn write_command(&self, number: u32, operation: u32, cpu: u32, entry: u64) -> Result<(), Fault> {
        let mailbox = self.mailbox.window();
        mailbox.store_u32(m::OPERATION, operation)?;
        mailbox.store_u32(m::CPU, cpu)?;
        mailbox.store_u64(m::ENTRY, entry)?;
        barrier::write();
        mailbox.store_u32(m::COMMAND, number)?;
        barrier::full();
        Ok(())
    }

    fn result(&self) -> Result<i32, MachineError> {
        Ok(self.mailbox.window().load_u32(m::RESULT).map_err(outside)? as i32)
    }

    /// Waits until the word at `field` satisfies `done`, and gives it.
    fn wait(
        &self,
        field: usize,
        done: impl Fn(u32) -> bool,
        whom: &'static str,
        doorbell: &Doorbell,
        deadline: Duration,
        mut ended: impl FnMut() -> Option<MachineError>,
    ) -> Result<u32, MachineError> {
        let begun = Instant::now();
        loop {
            let word = self.mailbox.window().load_u32(field).map_err(outside)?;
            if done(word) {
                barrier::read();
                return Ok(word);
            }
            if let Some(error) = ended() {
                return Err(error);
            }
            if begun.elapsed() > deadline {
                return Err(MachineError::Timeout { whom, millis: deadline.as_millis() });
            }
            let mut bell = [PollFd::new(doorbell.bell(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(LOOK_AGAIN).unwrap_or(PollTimeout::ZERO);
            match poll(&mut bell, timeout) {
                Ok(_) | Err(Errno::EINTR) => doorbell.silence(),
                Err(errno) => return Err(MachineError::system("doorbell")(errno)),
            }
        }
    }
}

/// The mailbox is a page of our own and its fields are constants, so this does not happen.
fn outside(fault: Fault) -> MachineError {
    MachineError::System { what: "the agent's mailbox", source: std::io::Error::other(fault.to_string()) }
}
