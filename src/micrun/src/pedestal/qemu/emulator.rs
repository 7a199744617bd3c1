//! The QEMU process: its command line, its descriptors, its monitor, its end.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::super::cpus;
use super::super::nursery::Nursery;
use super::super::ram::Ram;
use super::super::{Control, Death, MachineError, Process};
use super::agent;
use super::doorbell::Doorbell;
use super::ivshmem::VECTORS;
use super::qmp::Qmp;
use crate::resources::CoreLimits;
use crate::sys;
use firmware::board::Machine;

/// Path of the emulator, instead of the one that `PATH` finds.
const PROGRAM_VARIABLE: &str = "MICRUN_QEMU";
const PROGRAM: &str = "qemu-system-aarch64";
/// Most bytes of QEMU's complaints that are looked at: what a pipe holds.
const MESSAGE_LIMIT: u64 = 64 << 10;

/// A running emulator; killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Emulator {
    program: String,
    machine: Machine,
    child: Child,
    pidfd: OwnedFd,
    monitor: Arc<Monitor>,
    /// What QEMU complains of. Neither end blocks: QEMU may fill the pipe, and we may find it empty.
    complaints: File,
    /// How it ended, and the last line that it printed.
    end: Option<(Death, Option<String>)>,
}

/// What is known of the process beside its owner.
#[derive(Debug)]
pub(super) struct Monitor {
    qmp: Qmp,
    process: Process,
    memory: u64,
    /// It does not run where the shim does.
    pinned: AtomicBool,
}

impl Control for Monitor {
    fn pause(&self) -> Result<(), MachineError> {
        self.qmp.stop()
    }

    fn resume(&self) -> Result<(), MachineError> {
        self.qmp.cont()
    }

    fn limit(&self, limits: &CoreLimits) -> Result<(), MachineError> {
        if limits.cpus.is_some() || self.pinned.load(Ordering::Relaxed) {
            cpus::pin(self.process, limits.cpus.as_ref())?;
        }
        self.pinned.store(limits.cpus.is_some(), Ordering::Relaxed);
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.memory
    }
}

impl Emulator {
    /// Starts QEMU with the cores that `machine` must have for firmware on core `cpu`.
    pub(super) fn start(
        ram: &Ram,
        doorbell: &Doorbell,
        (machine, cpu): (Machine, u32),
        nursery: &Nursery,
    ) -> Result<Emulator, MachineError> {
        let program = program();
        let (qmp, theirs) = Qmp::new().map_err(MachineError::system("the emulator's monitor"))?;
        let inherited = [ram.as_fd().as_raw_fd(), doorbell.client().as_raw_fd(), theirs.as_raw_fd()];
        let mut command = Command::new(&program);
        command.args(arguments(inherited, ram.size() >> 20, machine, cpu));
        let (complaints, stderr) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(MachineError::system("a pipe"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        sys::confine(&mut command, inherited);
        let spawned = nursery.spawn(command);
        // Ours would keep the connection open when QEMU has ended.
        drop(theirs);
        let mut child = spawned.map_err(|source| MachineError::Spawn { program: program.clone(), source })?;
        let identified =
            sys::open_pidfd(child.id()).and_then(|pidfd| Ok((pidfd, sys::identify(child.id())?)));
        let (pidfd, process) = identified.map_err(|source| {
            // Not reachable by its pidfd, so end it by the handle.
            let _ = child.kill().and_then(|()| child.wait());
            MachineError::System { what: "watching the emulator", source }
        })?;
        let monitor = Arc::new(Monitor { qmp, process, memory: ram.size(), pinned: AtomicBool::new(false) });
        Ok(Emulator { program, machine, child, pidfd, monitor, complaints: complaints.into(), end: None })
    }

    /// If it ended already: why, in its own words.
    pub(super) fn early_end(&mut self) -> Option<MachineError> {
        self.death()?;
        let (death, last_words) = self.end.as_ref()?;
        let mut message = last_words.clone().unwrap_or_else(|| format!("{death:?}"));
        if self.machine == Machine::Raspi4b && message.contains("-machine help") {
            message = "it has no machine raspi4b, which QEMU 9 and newer have".to_owned();
        }
        Some(MachineError::Ended { program: self.program.clone(), message })
    }

    /// The last line that it printed. Empties the pipe, so there is only one reading of it.
    fn last_words(&self) -> Option<String> {
        let mut text = Vec::new();
        // Whatever can be read without waiting; the rest is not worth an error of its own.
        let _ = (&self.complaints).take(MESSAGE_LIMIT).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub(super) fn process(&self) -> Process {
        self.monitor.process
    }

    pub(super) fn control(&self) -> Arc<dyn Control> {
        self.monitor.clone()
    }

    /// Readable when there are events.
    pub(super) fn news(&self) -> BorrowedFd<'_> {
        self.monitor.qmp.as_fd()
    }

    /// Takes what events there are, and reaps it if it has ended.
    pub(super) fn death(&mut self) -> Option<Death> {
        if self.end.is_none() {
            self.monitor.qmp.take_events();
            let status = self.child.try_wait().ok().flatten()?;
            let last_words = self.last_words();
            let death = match (status.code(), status.signal()) {
                // `-no-reboot`: the firmware's SYSTEM_OFF and SYSTEM_RESET both end QEMU with 0, and so do signals
                // that it catches.
                (Some(0), _) if self.monitor.qmp.was_reset() => Death::Reset,
                (Some(0), _) => last_words.as_deref().and_then(caught_signal).unwrap_or(Death::PoweredOff),
                (Some(code), _) => Death::Failed(code),
                (None, signal) => Death::Signal(signal.unwrap_or(libc::SIGKILL)),
            };
            self.end = Some((death, last_words));
        }
        self.end.as_ref().map(|(death, _)| *death)
    }

    pub(super) fn kill(&mut self) {
        if self.end.is_none() {
            // Fails only if it has ended, which `death` finds out.
            let _ = self.child.kill();
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if self.death().is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads QEMU's "terminating on signal 15 from pid 7" (`system/runstate.c`).
fn caught_signal(complaint: &str) -> Option<Death> {
    let (_, rest) = complaint.split_once("terminating on signal ")?;
    rest.split(' ').next()?.parse().ok().map(Death::Signal)
}

fn program() -> String {
    std::env::var(PROGRAM_VARIABLE).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| PROGRAM.to_owned())
}

fn arguments([ram, bell, monitor]: [RawFd; 3], size: u64, machine: Machine, cpu: u32) -> Vec<String> {
    let (of_machine, first_to_last) = match machine {
        Machine::Virt => (virt(cpu), 0..=0),
        // It has four cores, all of which run from the beginning.
        Machine::Raspi4b => (raspi4b(), 0..=3),
    };
    let common = [
        "-m",
        &format!("{size}M"),
        // Multi-threaded translation, with a small cache: firmware is small.
        "-accel",
        "tcg,thread=multi,tb-size=32",
        "-object",
        &format!("memory-backend-file,id=ram,size={size}M,mem-path=/proc/self/fd/{ram},share=on"),
        "-chardev",
        &format!("socket,id=bell,fd={bell}"),
        "-chardev",
        &format!("socket,id=qmp,fd={monitor}"),
        "-mon",
        "chardev=qmp,mode=control",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-monitor",
        "none",
        // The firmware is not trusted, so neither is the emulator that runs it.
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    ]
    .map(str::to_owned);
    // The code is in RAM already; this only sets where cores begin.
    let begin =
        |core| ["-device".to_owned(), format!("loader,addr={:#x},cpu-num={core}", agent::address(machine))];
    of_machine.into_iter().chain(common).chain(first_to_last.flat_map(begin)).collect()
}

/// The firmware's core is the last, so that there is none for nothing.
fn virt(cpu: u32) -> Vec<String> {
    let machine = "virt,gic-version=3,highmem=off,acpi=off,usb=off,memory-backend=ram";
    let cores = (cpu + 1).to_string();
    let doorbell = format!("ivshmem-doorbell,addr=1,chardev=bell,vectors={VECTORS}");
    ["-machine", machine, "-cpu", "cortex-a53", "-smp", &cores, "-device", &doorbell, "-serial", "none"]
        .map(str::to_owned)
        .to_vec()
}

/// The first serial line is the doorbell; what firmware says on the second is heard by nobody.
fn raspi4b() -> Vec<String> {
    let machine = "raspi4b,memory-backend=ram";
    ["-machine", machine, "-serial", "chardev:bell", "-serial", "null"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_qemu_caught_is_read_from_its_last_words() {
        let line = "qemu-system-aarch64: terminating on signal 15 from pid 4711 (kill)";
        assert_eq!(caught_signal(line), Some(Death::Signal(15)));
        assert_eq!(caught_signal("qemu-system-aarch64: terminating on signal many"), None);
        assert_eq!(caught_signal("qemu-system-aarch64: warning"), None);
    }
}
