//! Cores that openEuler's daemon micad drives: bare metal, Jailhouse cells, Xen domains, cores of another architecture.
//! `docs/reference/micad.md` has what is said to it and what it does.

mod client;
mod control;
mod instance;
mod message;
mod name;
mod probe;
mod sockets;
mod status;
#[cfg(test)]
mod tests;
mod xl;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::claim::{Claim, ClaimError};
use super::{MachineError, Manager, mcs};
use crate::resources::CoreLimits;
pub use client::MicadError;
pub use control::{InstanceControl, Setting};
use firmware::client_conf::Pedestal;
use instance::Instance;
pub use message::{Create, FieldError};
use probe::Probe;
use sockets::Sockets;

/// Environment variable: another directory of micad's sockets than [`DIRECTORY`].
const DIRECTORY_VARIABLE: &str = "MICRUN_MICAD";
const DIRECTORY: &str = "/run/mica";
/// containerd gives `delete` five seconds.
const DELETE_PATIENCE: Duration = Duration::from_secs(4);
/// The word that micad wants of a core of another architecture.
const RISCV: &str = "riscv";
/// Beginning of a cell's description, up to its name, and how long that can be.
const CELL_SIGNATURES: [&[u8]; 2] = [b"JHCLL", b"JHCEL"];
const CELL_NAME: std::ops::Range<usize> = 8..40;

/// An image that micad cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A field does not fit micad's message.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Characters that a name must not have.
    #[error(
        "container {id:?} in namespace {namespace:?} cannot be a name for micad: letters, digits, '-', '_' and '.' can"
    )]
    Name {
        /// containerd's namespace.
        namespace: String,
        /// Container id.
        id: String,
    },
    /// A name that micad would cut.
    #[error("micad's names have at most 65 bytes, and {name:?} has {len}: choose a shorter container id")]
    LongName {
        /// The name.
        name: String,
        /// Its length.
        len: usize,
    },
    /// micad takes no core for core 0, which is Linux's.
    #[error("micad's bare metal needs a core of its own: set CPU in the image's client.conf, from 1 on")]
    NoCore,
    /// Not what micad calls a core of another architecture.
    #[error("micad's hetero needs CPU={RISCV} in the image's client.conf, not {0:?}")]
    NotRiscv(String),
    /// Nothing that Jailhouse could make a cell of.
    #[error("PedestalConf is no cell of jailhouse's")]
    NoCell,
    /// The pedestal cannot do without its file.
    #[error("micad's {0} needs the file that PedestalConf names")]
    NoConf(Pedestal),
}

/// An instance to be.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// containerd's namespace.
    pub namespace: &'a str,
    /// Container id.
    pub id: &'a str,
    /// What is sent, but for the name, which comes from the two.
    pub create: Create,
    /// The core of bare metal.
    pub cpu: Option<u32>,
    /// What of resources is in the message.
    pub limits: CoreLimits,
    /// What is in the pedestal's file.
    pub pedestal_conf: Option<&'a [u8]>,
}

/// Checks everything that can be checked before the start. micad hears of it only then, when there is a record of it.
pub fn load(spec: Spec<'_>) -> Result<Arc<dyn Manager>, super::baremetal::LoadError> {
    load_in(&directory(), spec)
}

fn load_in(directory: &Path, spec: Spec<'_>) -> Result<Arc<dyn Manager>, super::baremetal::LoadError> {
    let owner = format!("{}/{}", spec.namespace, spec.id);
    let name = name::instance(spec.namespace, spec.id)?;
    let probe = probe(&spec, &name)?;
    let create = Create { name, ..spec.create };
    create.encode().map_err(SpecError::from)?;
    let claim = claim(create.pedestal, spec.cpu, &owner).map_err(MachineError::from)?;
    let sockets = Sockets::new(directory, &create.name);
    if !sockets.create.exists() {
        let source = nix::Error::ENOENT.into();
        return Err(MachineError::from(MicadError::Absent { path: sockets.create, source }).into());
    }
    let control = Arc::new(InstanceControl::new(&create, sockets.clone(), spec.limits));
    let (life, next_status) = (Mutex::default(), Mutex::new(Instant::now()));
    Ok(Arc::new(Instance { create, sockets, probe, _claim: claim, life, next_status, control }))
}

/// Who can tell whether it runs; refuses what micad would misunderstand.
fn probe(spec: &Spec<'_>, name: &str) -> Result<Probe, SpecError> {
    let create = &spec.create;
    let conf = || spec.pedestal_conf.ok_or(SpecError::NoConf(create.pedestal));
    match create.pedestal {
        Pedestal::Jailhouse => Ok(Probe::Cell(cell_name(conf()?).ok_or(SpecError::NoCell)?)),
        Pedestal::Xen => {
            conf()?;
            Ok(Probe::domain(name))
        }
        Pedestal::Hetero if create.cpus != RISCV => Err(SpecError::NotRiscv(create.cpus.clone())),
        Pedestal::Hetero => conf().map(|_| Probe::Nobody),
        Pedestal::Baremetal | Pedestal::Qemu => {
            spec.cpu.filter(|cpu| *cpu > 0).map(Probe::core).ok_or(SpecError::NoCore)
        }
    }
}

/// The name in a cell's description, by which Jailhouse calls the cell.
fn cell_name(conf: &[u8]) -> Option<String> {
    CELL_SIGNATURES.iter().find(|signature| conf.starts_with(signature))?;
    let name = conf.get(CELL_NAME)?.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// micad lets two instances have one core; it has one window for all cells, and there is one core of another
/// architecture.
fn claim(pedestal: Pedestal, cpu: Option<u32>, owner: &str) -> Result<Option<Claim>, ClaimError> {
    match (pedestal, cpu) {
        (Pedestal::Baremetal | Pedestal::Qemu, Some(cpu)) => Claim::take(&mcs::name(cpu), owner).map(Some),
        (Pedestal::Jailhouse, _) => Claim::take("uio0", owner).map(Some),
        (Pedestal::Hetero, _) => Claim::take(RISCV, owner).map(Some),
        _ => Ok(None),
    }
}

/// Ends an instance that another process has left.
pub(super) fn end(name: &str, xen: bool) -> Result<(), MachineError> {
    let removed = Sockets::new(&directory(), name).remove(DELETE_PATIENCE, &|| false);
    // micad may have been restarted and not know it.
    if xen && xl::exists(name)? {
        return xl::command("destroy", name);
    }
    Ok(removed?)
}

fn directory() -> PathBuf {
    std::env::var_os(DIRECTORY_VARIABLE)
        .filter(|directory| !directory.is_empty())
        .map_or_else(|| PathBuf::from(DIRECTORY), PathBuf::from)
}
