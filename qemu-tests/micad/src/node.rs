//! What outlives micad: cores, domains and what runs on them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::message::Create;
use crate::rtos::{CPU_OFF, CPU_ON, Manner, Rtos, SYSTEM_RESET};

/// How long micad spins for firmware that is to reset its rings.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_millis(200);
/// Cores of the node.
const CPUS: u64 = 64;

/// How an instance is isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pedestal {
    Baremetal,
    Jailhouse,
    Xen,
    Hetero,
}

impl Pedestal {
    /// Any word it does not know is bare metal.
    pub(crate) fn of(word: &str) -> Pedestal {
        match word {
            "jailhouse" => Pedestal::Jailhouse,
            "xen" => Pedestal::Xen,
            "hetero" => Pedestal::Hetero,
            _ => Pedestal::Baremetal,
        }
    }
}

/// A node.
pub struct Node {
    /// A file for each of Xen's domains, for a program that plays `xl`.
    domains: PathBuf,
    deaf: bool,
    cores: Mutex<BTreeMap<String, Arc<Rtos>>>,
}

impl Node {
    /// A node without anything on it. A Xen domain is a file in `domains` as long as it lives; while that says `paused`
    /// the domain is halted.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(domains: &Path) -> io::Result<Arc<Node>> {
        Node::with(domains, false)
    }

    /// The same, with firmware that cannot power its core off if it is `deaf`.
    ///
    /// # Errors
    /// As [`Node::new`].
    pub fn with(domains: &Path, deaf: bool) -> io::Result<Arc<Node>> {
        fs::create_dir_all(domains)?;
        Ok(Arc::new(Node { domains: domains.to_owned(), deaf, cores: Mutex::default() }))
    }

    /// Cores and domains on which something executes, by their names.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let cores = self.cores.lock().unwrap();
        cores.iter().filter(|(_, rtos)| rtos.on()).map(|(name, _)| name.clone()).collect()
    }

    /// What the pedestal does when an instance is created.
    pub(crate) fn init(&self, create: &Create) -> Result<(), ()> {
        let [vcpus, _, _, _, memory, _] = create.numbers;
        let good = match Pedestal::of(&create.pedestal) {
            Pedestal::Baremetal => number(&create.cpus) < CPUS,
            Pedestal::Jailhouse => is_cell(&create.pedestal_conf),
            Pedestal::Hetero => create.cpus == "riscv",
            Pedestal::Xen => vcpus >= 0 && memory >= 0,
        };
        good.then_some(()).ok_or(())
    }

    /// Loads and boots; an error leaves the instance ready.
    pub(crate) fn start(&self, create: &Create) -> Result<Arc<Rtos>, ()> {
        let mut cores = self.cores.lock().unwrap();
        let name = self.place(create);
        let manner = Manner { deaf: self.deaf, domain: None };
        let before = cores.get(&name).filter(|rtos| rtos.on()).cloned();
        let rtos = match (Pedestal::of(&create.pedestal), before) {
            (Pedestal::Baremetal, Some(rtos)) => {
                if rtos.word() != CPU_ON {
                    // The core is on although it was told to go: PSCI refuses.
                    return Err(());
                }
                rtos.tell(SYSTEM_RESET);
                let begun = std::time::Instant::now();
                while rtos.word() != 0 {
                    if begun.elapsed() > HANDSHAKE {
                        rtos.tell(CPU_ON);
                        return Err(());
                    }
                    std::thread::yield_now();
                }
                rtos.tell(CPU_ON);
                return Ok(rtos);
            }
            // One device for all cells; a domain of that name.
            (Pedestal::Jailhouse | Pedestal::Xen, Some(_)) => return Err(()),
            (Pedestal::Xen, None) => {
                let domain = self.domains.join(&create.name);
                fs::write(&domain, "running").map_err(drop)?;
                Rtos::boot(1, Manner { domain: Some(domain), ..manner })
            }
            (Pedestal::Hetero, before) => {
                before.iter().for_each(|rtos| rtos.kill());
                Rtos::boot(0, manner)
            }
            (Pedestal::Baremetal, None) => Rtos::boot(number(&create.cpus), manner),
            (Pedestal::Jailhouse, None) => Rtos::boot(3, manner),
        };
        cores.insert(name, rtos.clone());
        Ok(rtos)
    }

    /// What the pedestal does when an instance is stopped.
    pub(crate) fn shut_down(&self, create: &Create, rtos: &Rtos) {
        match Pedestal::of(&create.pedestal) {
            Pedestal::Baremetal => rtos.tell(CPU_OFF),
            Pedestal::Jailhouse => rtos.kill(),
            Pedestal::Xen => {
                rtos.kill();
                let _ = fs::remove_file(self.domains.join(&create.name));
            }
            // The other core runs on.
            Pedestal::Hetero => {}
        }
    }

    fn place(&self, create: &Create) -> String {
        match Pedestal::of(&create.pedestal) {
            Pedestal::Baremetal => format!("cpu {}", number(&create.cpus)),
            Pedestal::Jailhouse => "cell".to_owned(),
            Pedestal::Xen => format!("domain {}", create.name),
            Pedestal::Hetero => "mcu".to_owned(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cores.lock().unwrap().values().for_each(|rtos| rtos.kill());
    }
}

/// As C's `strtoul` does it: what is none is 0.
fn number(text: &str) -> u64 {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], radix).unwrap_or(0)
}

/// A description of a cell, of revision 13.
fn is_cell(path: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.starts_with(b"JHCLL") && bytes.get(6..8) == Some(&[13, 0])
}
