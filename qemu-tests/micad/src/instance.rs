//! One instance and what each command does to it.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::Options;
use crate::message::Create;
use crate::node::{Node, Pedestal};
use crate::rtos::{CPU_OFF, Rtos};
use crate::tty::{Name, Tty};

/// Longest text of all services, and of a whole line.
const SERVICES: usize = 255;
const LINE: usize = 511;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline,
    Ready,
    Running,
}

pub(crate) struct Instance {
    pub(crate) create: Create,
    cpus: String,
    state: State,
    rtos: Option<Arc<Rtos>>,
    /// When the firmware will have announced its endpoints.
    announced: Option<Instant>,
    tty: Option<Tty>,
}

/// What a command answers before the verdict.
pub(crate) type Answer = Result<String, String>;

impl Instance {
    pub(crate) fn new(create: Create) -> Instance {
        let cpus = create.cpus.clone();
        Instance { create, cpus, state: State::Offline, rtos: None, announced: None, tty: None }
    }

    /// The link of its terminal.
    pub(crate) fn link(&self) -> Option<PathBuf> {
        self.tty.as_ref().map(|tty| tty.link.clone())
    }

    /// When it will have something to be bound.
    pub(crate) fn announces(&self) -> Option<Instant> {
        self.announced
    }

    pub(crate) fn start(&mut self, node: &Node, options: &Options) -> Answer {
        if self.state != State::Offline {
            return Err(String::new());
        }
        self.state = State::Ready;
        let rtos = node.start(&self.create).map_err(|()| String::new())?;
        self.state = State::Running;
        self.rtos = Some(rtos);
        self.announced = Some(Instant::now() + options.announce);
        Ok(String::new())
    }

    /// Binds the firmware's terminal, if it is announced by now.
    pub(crate) fn bind(&mut self, options: &Options, used: &[PathBuf], notifier: &Arc<Mutex<()>>) {
        let Some(rtos) = &self.rtos else { return };
        if self.announced.take_if(|at| *at <= Instant::now()).is_none() {
            return;
        }
        let name = if options.named { Name::Of(&self.create.name) } else { Name::Number { used } };
        // One notifier for all of bare metal, one for each of the others.
        let bare = Pedestal::of(&self.create.pedestal) == Pedestal::Baremetal;
        let notifier = if bare { notifier.clone() } else { Arc::default() };
        match Tty::open(&options.ttys, name, rtos, notifier) {
            Ok(tty) => self.tty = Some(tty),
            Err(error) => eprintln!("micad: tty of {}: {error}", self.create.name),
        }
    }

    pub(crate) fn stop(&mut self, node: &Node) {
        self.announced = None;
        if let Some(tty) = self.tty.take() {
            tty.remove();
        }
        if let Some(rtos) = self.rtos.take() {
            rtos.connect(None);
            node.shut_down(&self.create, &rtos);
        }
        self.state = State::Offline;
    }

    /// micad is gone, and with it everything that it had open.
    pub(crate) fn lose(self) {
        self.rtos.iter().for_each(|rtos| rtos.connect(None));
    }

    pub(crate) fn status(&mut self, node: &Node) -> String {
        // The one thing that it notices.
        if self.state == State::Running && self.rtos.as_ref().is_some_and(|rtos| rtos.word() == CPU_OFF) {
            self.stop(node);
        }
        let mut services = String::new();
        if self.create.debug && self.state == State::Running {
            services.push_str("debug-rtos-kernel ");
        }
        if let Some(tty) = &self.tty {
            let _ = write!(services, "rpmsg-tty({}) ", tty.link.display());
        }
        if self.state == State::Running {
            services.push_str("rpmsg-rpc rpmsg-umt ");
        }
        services.truncate(SERVICES);
        let state = format!("{:?}", self.state);
        let mut line = format!("{:<30}{:<20}{state:<20}{services}", shown(&self.create.name), self.cpus);
        line.truncate(LINE);
        line
    }

    /// `set key value`; only Xen has it. The program that is run for it succeeds.
    pub(crate) fn set(&mut self, words: &[&str]) -> Answer {
        let [_, key, value] = words else {
            return Err("Invalid set command. Usage: set <key> <value>".to_owned());
        };
        if Pedestal::of(&self.create.pedestal) != Pedestal::Xen {
            return Err(String::new());
        }
        match &*key.to_ascii_lowercase() {
            "cpu" => (*value).clone_into(&mut self.cpus),
            "vcpu" | "cpuweight" | "cpucapacity" | "memory" | "maxmemory" => {}
            _ => return Err(String::new()),
        }
        Ok(String::new())
    }

    pub(crate) fn gdb(&self) -> Answer {
        if !self.create.debug {
            return Err("The elf file does not support debugging\n".to_owned());
        }
        let path = &self.create.path;
        Ok(format!(
            "gdb {path} -ex 'set remotetimeout unlimited' -ex 'target extended-remote :5678' \
             -ex 'set remote run-packet off'"
        ))
    }
}

/// A long name is cut in the middle.
fn shown(name: &str) -> String {
    if name.len() <= 31 {
        return name.to_owned();
    }
    format!("{}...{}", &name[..12], &name[name.len() - 1..])
}
