//! From an image to an instance of micad's: which pedestal, which files, what the message says.

use std::path::Path;

use super::create::Chosen;
use crate::bundle::Bundle;
use crate::config::{Config, Key};
use crate::console::Owner;
use crate::error::Error;
use crate::pedestal::micad::{self, Create, Spec};
use crate::pedestal::{Loaded, MachineError};
use crate::rootfs::{Image, RootfsError};
use firmware::client_conf::{ClientConf, Pedestal};
use firmware::elf::Elf;
use firmware::file::{FileError, MAX_FIRMWARE_LEN};

/// The pedestal that is micad itself: what isolates the core is the image's to say.
const MICAD: &str = "micad";
/// Copies of the image's files in the bundle. micad opens them by name and may follow what links an image has out of it,
/// and it reads them when it likes.
const FIRMWARE: &str = "firmware.elf";
const PEDESTAL_CONF: &str = "pedestal.conf";

/// What isolates the core if `pedestal` is one of micad's.
pub(super) fn pedestal(pedestal: &str, conf: Option<&ClientConf>) -> Option<Pedestal> {
    match pedestal {
        MICAD => Some(conf.and_then(ClientConf::pedestal).unwrap_or(Pedestal::Baremetal)),
        "jailhouse" => Some(Pedestal::Jailhouse),
        "xen" => Some(Pedestal::Xen),
        "hetero" => Some(Pedestal::Hetero),
        _ => None,
    }
    .map(|pedestal| if pedestal == Pedestal::Qemu { Pedestal::Baremetal } else { pedestal })
}

/// Prepares an instance for `firmware`, which is at `path` in the image.
pub(super) fn load(
    pedestal: Pedestal,
    (path, firmware): (&str, &[u8]),
    chosen: &Chosen<'_>,
    (bundle, image): (&Bundle, &Image<'_>),
    owner: &Owner<'_>,
) -> Result<Loaded, Error> {
    let Chosen { limits, conf, config, .. } = *chosen;
    let wrong = |source| Error::Load { path: path.to_owned(), source };
    if pedestal != Pedestal::Hetero {
        // A core of another architecture has files of another one, which micad reads a table from.
        Elf::parse(firmware).map_err(|error| wrong(error.into()))?;
    }
    let pedestal_conf = read_pedestal_conf(image, config)?;
    let copy = |name, content: &[u8]| keep(&bundle.dir, name, content).map_err(|error| wrong(error.into()));
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    // What only Xen has is nothing to the others.
    let number = |value: u32| Some(value).filter(|_| pedestal == Pedestal::Xen);
    let pinned = limits.cpus.as_ref().filter(|_| pedestal == Pedestal::Xen).map(ToString::to_string);
    let create = Create {
        name: String::new(),
        path: copy(FIRMWARE, firmware)?,
        pedestal,
        pedestal_conf: pedestal_conf
            .as_deref()
            .map_or(Ok(String::new()), |file| copy(PEDESTAL_CONF, file))?,
        debug: config.is_on(Key::Debug),
        cpus: pinned.unwrap_or_else(|| text(config.text(Key::Cpu))),
        vcpus: number(limits.vcpus),
        max_vcpus: number(limits.max_vcpus),
        cpu_weight: number(limits.cpu_weight),
        cpu_capacity: number(limits.cpu_capacity),
        memory: number(limits.memory),
        max_memory: number(limits.max_memory),
        iomem: text(conf.and_then(ClientConf::iomem)),
        network: text(conf.and_then(ClientConf::network)),
    };
    let cpu = if pedestal == Pedestal::Baremetal { config.cpu()? } else { None };
    let (namespace, id) = (owner.namespace, owner.id);
    let pedestal_conf = pedestal_conf.as_deref();
    let spec = Spec { namespace, id, create, cpu, limits: limits.clone(), pedestal_conf };
    micad::load(spec).map(Loaded::Managed).map_err(wrong)
}

/// The pedestal's file, if annotation or image name one.
fn read_pedestal_conf(image: &Image<'_>, config: &Config) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = config.text(Key::PedestalConf) else { return Ok(None) };
    let missing =
        || RootfsError::File { path: path.to_owned(), source: FileError::Io(nix::Error::ENOENT.into()) };
    Ok(Some(image.read(path, MAX_FIRMWARE_LEN)?.ok_or_else(missing)?))
}

/// Writes a copy into the bundle, which goes with it; gives its path.
fn keep(dir: &Path, name: &str, content: &[u8]) -> Result<String, MachineError> {
    let path = dir.join(name);
    std::fs::write(&path, content)
        .map_err(MachineError::system("a copy of the image's file in the bundle"))?;
    Ok(path.display().to_string())
}
