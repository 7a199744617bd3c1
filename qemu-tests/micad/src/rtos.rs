//! An RTOS: the shell of the test RTOS, in a thread, behind messages.
//!
//! It lives on the node, not in micad, so it goes on when micad is killed. As real ones do, it prints nothing before the
//! first message has come.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use shmem::{Mapping, Window};
use test_rtos::bulk::Bulk;
use test_rtos::rpc::Calls;
use test_rtos::shell::{Action, Input, Output, Shell};

/// The state word: the host has started the core.
pub const CPU_ON: u32 = 0xC400_0003;
/// The host asks for a reset of the rings.
pub const SYSTEM_RESET: u32 = 0x8400_0009;
/// Power off, asked for or announced.
pub const CPU_OFF: u32 = 0x8400_0002;
/// A domain's file is looked at this often.
const LOOK: Duration = Duration::from_millis(5);

/// Bytes of the smallest mapping on any host that tests run on.
const PAGE: usize = 4096;

/// Takes what the RTOS prints, one message at a time.
pub(crate) type Link = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What an RTOS does beside its work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// It does not power off when it is told to, as two of MICA's three sample images.
    pub(crate) deaf: bool,
    /// It is a Xen domain, which lives as long as this file is there and is halted while that says `paused`.
    pub(crate) domain: Option<PathBuf>,
}

/// One core and what runs on it.
pub(crate) struct Rtos {
    inner: Mutex<Inner>,
    changed: Condvar,
    manner: Manner,
}

#[derive(Default)]
struct Inner {
    messages: VecDeque<Vec<u8>>,
    word: u32,
    /// The core executes.
    on: bool,
    /// It executes nothing of use.
    hung: bool,
    link: Option<Link>,
}

impl Rtos {
    /// Starts one.
    pub(crate) fn boot(cpu: u64, manner: Manner) -> Arc<Rtos> {
        let inner = Inner { word: CPU_ON, on: true, ..Inner::default() };
        let rtos = Arc::new(Rtos { inner: Mutex::new(inner), changed: Condvar::new(), manner });
        let core = rtos.clone();
        thread::spawn(move || core.execute(cpu));
        rtos
    }

    pub(crate) fn word(&self) -> u32 {
        self.inner.lock().unwrap().word
    }

    /// Writes the state word and interrupts.
    pub(crate) fn tell(&self, word: u32) {
        self.inner.lock().unwrap().word = word;
        self.changed.notify_all();
    }

    /// True while the core executes.
    pub(crate) fn on(&self) -> bool {
        let dead = self.manner.domain.as_deref().is_some_and(|file| !file.exists());
        self.inner.lock().unwrap().on && !dead
    }

    /// Cuts its power, where somebody can.
    pub(crate) fn kill(&self) {
        self.inner.lock().unwrap().on = false;
        self.changed.notify_all();
    }

    /// From now on what it prints goes there.
    pub(crate) fn connect(&self, link: Option<Link>) {
        self.inner.lock().unwrap().link = link;
    }

    /// A message of the host.
    pub(crate) fn hear(&self, message: Vec<u8>) {
        self.inner.lock().unwrap().messages.push_back(message);
        self.changed.notify_all();
    }

    fn execute(&self, cpu: u64) {
        // Bulk transfer through micad is not played: the memory for it is there, and no host ever names it.
        let memory = memfd_create("bulk", MFdFlags::MFD_CLOEXEC).expect("a memfd");
        ftruncate(&memory, PAGE as i64).expect("room for a page");
        let memory = Mapping::new(memory.as_fd(), 0, PAGE).expect("mapped");
        let mut session = Session {
            shell: None,
            input: Input::default(),
            output: Output::default(),
            calls: Calls::default(),
            bulk: Bulk::new(memory.window(), 0),
        };
        while let Some(message) = self.next() {
            let action = session.hear(cpu, &message, &|printed| self.print(printed));
            match action {
                None => {}
                Some(Action::Exit(_)) => {
                    let mut inner = self.inner.lock().unwrap();
                    (inner.word, inner.on) = (CPU_OFF, false);
                    self.leave_xen();
                }
                // Nobody sees the difference, but Xen.
                Some(Action::Crash | Action::Hog) => {
                    self.inner.lock().unwrap().hung = true;
                    self.leave_xen();
                }
                Some(Action::Hang | Action::Off | Action::Reset) => self.inner.lock().unwrap().hung = true,
            }
        }
    }

    fn leave_xen(&self) {
        self.manner.domain.iter().for_each(|file| drop(fs::remove_file(file)));
    }

    /// The next message; `None` when the core is off.
    fn next(&self) -> Option<Vec<u8>> {
        let mut inner = self.inner.lock().unwrap();
        loop {
            if !inner.on || self.manner.domain.as_deref().is_some_and(|file| !file.exists()) {
                inner.on = false;
                return None;
            }
            if !inner.hung && !self.manner.domain.as_deref().is_some_and(paused) {
                match inner.word {
                    CPU_OFF if !self.manner.deaf => {
                        inner.on = false;
                        return None;
                    }
                    SYSTEM_RESET => inner.word = 0,
                    _ => {}
                }
                if let Some(message) = inner.messages.pop_front() {
                    return Some(message);
                }
            }
            inner = if self.manner.domain.is_some() {
                self.changed.wait_timeout(inner, LOOK).unwrap().0
            } else {
                self.changed.wait(inner).unwrap()
            };
        }
    }

    fn print(&self, printed: &[u8]) {
        let link = self.inner.lock().unwrap().link.clone();
        // Without a host the ring takes it, and nobody ever reads that.
        if let Some(link) = link {
            link(printed);
        }
    }
}

fn paused(domain: &Path) -> bool {
    fs::read(domain).is_ok_and(|content| content.starts_with(b"paused"))
}

/// The shell, once somebody has spoken to it.
struct Session<'m> {
    shell: Option<Shell>,
    input: Input,
    output: Output,
    calls: Calls,
    bulk: Bulk<Window<'m>>,
}

impl Session<'_> {
    fn hear(&mut self, cpu: u64, message: &[u8], print: &dyn Fn(&[u8])) -> Option<Action> {
        let Session { shell, input, output, calls, bulk } = self;
        let shell = shell.get_or_insert_with(|| Shell::new(cpu));
        let mut rest = message;
        loop {
            let taken = input.extend(rest);
            rest = &rest[taken..];
            let action = shell.poll(input, output, calls, bulk, 0);
            let idle = output.is_empty() && rest.is_empty();
            if !output.is_empty() {
                print(output.as_slice());
                output.clear();
            }
            if action.is_some() || idle {
                return action;
            }
        }
    }
}
