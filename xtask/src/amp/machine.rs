//! The machine: QEMU with a kernel, run for as long as its tests may take.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sh;
use crate::test::Count;

const MACHINE: &str = "virt,gic-version=3";
/// As the board file says, by which QEMU is asked for its device tree.
const CORES_AND_MEMORY: [&str; 6] = ["-cpu", "cortex-a53", "-smp", "4", "-m", "1G"];
/// What the kernel is told. Its messages are read by the tests; only those of its end come to the console. How long the
/// emulated cores wait for each other says something about the host alone.
const KERNEL: &str = "console=ttyAMA0 quiet loglevel=1 panic=-1 rcupdate.rcu_cpu_stall_suppress=1 nowatchdog";

/// A guest that can be booted.
pub(super) struct Machine {
    pub(super) qemu: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
    pub(super) tree: PathBuf,
    /// A file system for its first disk.
    pub(super) disk: Option<PathBuf>,
}

/// A running QEMU; it ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Boots, gives `words` to the guest's first program, shows what it says, and counts its tests.
    ///
    /// # Errors
    /// The guest says nothing of its tests' end within `limit`.
    pub(super) fn run(&self, words: &[String], limit: Duration) -> Result<Count> {
        let mut count = None;
        self.watch(words, limit, |line| {
            count = count.or(Count::of(line));
            count.is_some()
        })?;
        count.context("the guest ended before its tests did")
    }

    /// Boots and gives `words` to the guest's first program; all that it says.
    ///
    /// # Errors
    /// The guest does not end within `limit`.
    pub(super) fn lines(&self, words: &[String], limit: Duration) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.watch(words, limit, |line| {
            lines.push(line.to_owned());
            false
        })?;
        Ok(lines)
    }

    /// Boots and shows each line, until QEMU ends or `look` has seen what it wanted.
    fn watch(&self, words: &[String], limit: Duration, mut look: impl FnMut(&str) -> bool) -> Result<()> {
        let mut qemu = self.command(words);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running(qemu.spawn().context("cannot start QEMU")?);
        let lines = lines_of(running.0.stdout.take().context("no pipe")?);
        let (start, end) = (Instant::now(), Instant::now() + limit);
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    println!("  {:6.1} {line}", start.elapsed().as_secs_f32());
                    if look(&line) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("the guest did not end within {limit:?}"),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Boots and lets a person talk to a shell in the guest. `exit` ends it.
    ///
    /// # Errors
    /// QEMU fails.
    pub(super) fn shell(&self) -> Result<()> {
        sh::run(&mut self.command(&["--shell".to_owned()]))
    }

    fn command(&self, words: &[String]) -> Command {
        let mut qemu = sh::command(&self.qemu);
        qemu.args(["-machine", MACHINE, "-accel", "tcg,thread=multi"]).args(CORES_AND_MEMORY);
        qemu.args(["-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd).arg("-dtb").arg(&self.tree);
        if let Some(disk) = &self.disk {
            // What the guest writes is forgotten.
            qemu.arg("-drive").arg(format!("id=disk,if=none,format=raw,snapshot=on,file={}", disk.display()));
            qemu.args(["-device", "virtio-blk-device,drive=disk"]);
        }
        // A word with spaces is one only in quotes.
        let words: String = words.iter().map(|word| format!(" \"{word}\"")).collect();
        qemu.arg("-append").arg(format!("{KERNEL} --{words}"));
        qemu
    }
}

/// The guest's lines as they come. Nothing comes any more when QEMU has ended.
fn lines_of(console: ChildStdout) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    receive
}
