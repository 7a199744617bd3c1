//! One core: from Linux to the firmware and back.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::MachineError;
use super::super::claim::Claim;
use super::cpu::LinuxCpu;
use super::device::Device;
use super::error::McsError;
use crate::sys::page_size;
use openamp::state::State;
use shmem::barrier;

/// A core that Linux has let go of is off soon after.
const OFFLINE_DEADLINE: Duration = Duration::from_secs(2);
/// A core that was started is on soon after, unless its firmware has ended by then.
const ON_DEADLINE: Duration = Duration::from_millis(500);
/// Firmware that is told to power its core off has done so this soon, or never does. containerd gives `delete` five
/// seconds, for everything.
const OFF_DEADLINE: Duration = Duration::from_secs(2);
/// How often it is asked whether the core is off: at first, and at last.
const LOOKS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(32)];

/// Bytes of a resource table's header, in which the state word is.
const HEADER_LEN: u64 = 16;

/// What has to be known to end the core without the process that started it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    /// Physical address of the firmware's resource table, where the state word is.
    table: u64,
    /// Digest of the firmware's file.
    firmware: String,
    /// Linux had the core and is to have it again.
    taken: bool,
}

/// One claimed core.
#[derive(Debug)]
pub(super) struct Core {
    device: Arc<Device>,
    cpu: u32,
    linux: LinuxCpu,
    claim: Claim,
    /// Who has left the core in use, and what he said of it.
    left: Option<(String, Option<Note>)>,
    /// Of what is to run, or runs.
    note: Option<Note>,
}

/// The name of the core among all there are.
pub(in super::super) fn name(cpu: u32) -> String {
    format!("mcs-{cpu}")
}

impl Core {
    /// The core that was claimed under its [`name`].
    pub(super) fn new(device: Arc<Device>, cpu: u32, claim: Claim) -> Core {
        let left = claim.left().map(|(owner, note)| (owner.to_owned(), note));
        Core { device, cpu, linux: LinuxCpu::new(cpu), claim, left, note: None }
    }

    /// Checks that the firmware of that digest, with its table at `table`, can be put on the core; true if it runs
    /// there already, left by somebody who could not end it.
    pub(super) fn admits(&self, table: u64, firmware: &str) -> Result<bool, MachineError> {
        if self.is_linuxs()? || self.device.is_off(self.cpu)? {
            return Ok(false);
        }
        match &self.left {
            Some((_, Some(note))) if note.table == table && note.firmware == firmware => Ok(true),
            Some((owner, Some(_))) => Err(McsError::Lost { cpu: self.cpu, owner: owner.clone() }.into()),
            _ => Err(McsError::Foreign { cpu: self.cpu }.into()),
        }
    }

    /// Takes the core from Linux, if it has it. Whatever happens next is noted before.
    pub(super) fn take(&mut self, table: u64, firmware: &str) -> Result<(), MachineError> {
        let online = self.is_linuxs()?;
        let taken = online || self.left_note().is_some_and(|note| note.taken);
        let note = Note { table, firmware: firmware.to_owned(), taken };
        self.claim.note(&note)?;
        self.note = Some(note);
        if online {
            self.linux.set_online(false).map_err(MachineError::system("taking the core from linux"))?;
        }
        Ok(())
    }

    /// Starts it at `entry`, when Linux has let go of it.
    pub(super) fn start(&self, entry: u64) -> Result<(), MachineError> {
        if !self.wait(OFFLINE_DEADLINE, true)? {
            let whom = "the core that linux has let go of";
            return Err(MachineError::Timeout { whom, millis: OFFLINE_DEADLINE.as_millis() });
        }
        self.device.cpu_on(self.cpu, entry)?;
        // An emulator says for a moment that it is still off, which would look like the firmware's end.
        self.wait(ON_DEADLINE, false)?;
        Ok(())
    }

    /// Powers the core off, as far as its firmware lets us, and gives it back to whom it was taken from. On an error it
    /// stays claimed by what is noted of it.
    pub(super) fn end(self) -> Result<(), MachineError> {
        let (cpu, note) = (self.cpu, self.note.as_ref().or(self.left_note()));
        if !self.is_linuxs()? {
            if let Some(note) = note.filter(|_| !self.device.is_off(cpu).unwrap_or(false)) {
                self.request_power_off(note.table)?;
            }
            if !self.wait(OFF_DEADLINE, true)? {
                return Err(McsError::StaysOn { cpu }.into());
            }
            if note.is_some_and(|note| note.taken) {
                self.linux.set_online(true).map_err(MachineError::system("giving the core back to linux"))?;
            }
        }
        self.claim.release();
        Ok(())
    }

    fn left_note(&self) -> Option<&Note> {
        self.left.as_ref()?.1.as_ref()
    }

    fn request_power_off(&self, table: u64) -> Result<(), MachineError> {
        let at = table % page_size();
        let len = (at + HEADER_LEN).next_multiple_of(page_size());
        let mapping = self.device.map(table - at, len as usize)?;
        let header = mapping.window().part(at as usize, HEADER_LEN as usize);
        let written = header.and_then(|header| State::Off.write(&header));
        written
            .map_err(|fault| MachineError::system("the state word")(io::Error::other(fault.to_string())))?;
        barrier::full();
        self.device.kick(self.cpu);
        Ok(())
    }

    /// True if Linux runs on the core.
    fn is_linuxs(&self) -> Result<bool, MachineError> {
        self.linux.is_online().map_err(MachineError::system("asking linux for the core"))
    }

    /// True if the core is off, or on, before `deadline` is over.
    fn wait(&self, deadline: Duration, off: bool) -> Result<bool, MachineError> {
        let (begun, [mut look, last]) = (Instant::now(), LOOKS);
        while self.device.is_off(self.cpu)? != off {
            if begun.elapsed() > deadline {
                return Ok(false);
            }
            thread::sleep(look);
            look = last.min(look * 2);
        }
        Ok(true)
    }
}
