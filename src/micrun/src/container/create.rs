//! Create: mounts, reads and loads, so that every error of image and board shows here and not at Start.

use std::path::PathBuf;
use std::sync::Mutex;

use super::{Container, Inner, Prepared, State, Surroundings};
use crate::bundle::Bundle;
use crate::console::{Console, Streams};
use crate::error::Error;
use crate::events::Event;
use crate::pedestal::nursery::Nursery;
use crate::pedestal::{self, Wanted, baremetal::Loaded};
use crate::rootfs::{Mount, Rootfs, RootfsError};
use crate::store::Record;
use firmware::client_conf::{self, ClientConf, Pedestal};
use firmware::file::{FileError, MAX_FIRMWARE_LEN};
use firmware::{annotation, layout};

/// Most bytes of a `client.conf`.
const CLIENT_CONF_LIMIT: u64 = client_conf::MAX_LEN as u64;
/// The pedestal where neither annotation nor image names one that is driven in another way.
const DEFAULT_PEDESTAL: &str = "qemu";

/// A Create request in our own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Container id.
    pub id: String,
    /// Bundle directory.
    pub bundle: PathBuf,
    /// Mounts of the root file system, in order.
    pub mounts: Vec<Mount>,
    /// Standard streams.
    pub streams: Streams,
}

impl Container {
    /// Makes a container ready to start. On an error nothing is left: what was mounted and mapped is dropped.
    pub fn create(request: Request, surroundings: Surroundings) -> Result<Container, Error> {
        let Request { id, bundle, mounts, streams } = request;
        let opened = Bundle::open(&bundle)?;
        let rootfs = Rootfs::mount(&opened.rootfs, &mounts)?;
        let loaded = load(&opened, &rootfs, &surroundings.nursery)?;
        let console = Console::open(&streams)?;
        Record::created().write(&bundle)?;
        let prepared = Some(Prepared { loaded, console });
        let (session, pending, process, rootfs) = (None, None, None, Some(rootfs));
        surroundings.events.publish(&id, Event::Create { bundle: bundle.clone(), streams: streams.clone() });
        let inner = Mutex::new(Inner {
            state: State::Created,
            prepared,
            waiters: Vec::new(),
            session,
            pending,
            process,
            rootfs,
        });
        Ok(Container { id, bundle, streams, surroundings, inner })
    }
}

fn load(bundle: &Bundle, rootfs: &Rootfs, nursery: &Nursery) -> Result<Loaded, Error> {
    let conf = read_client_conf(rootfs)?;
    let named = bundle.annotations.get(annotation::FIRMWARE_PATH).map(String::as_str);
    let path = named.or(conf.as_ref().map(ClientConf::client_path)).unwrap_or(layout::FIRMWARE).to_owned();
    let missing = || FileError::Io(nix::Error::ENOENT.into());
    let file = rootfs.read(&path, MAX_FIRMWARE_LEN)?;
    let file = file.ok_or_else(|| RootfsError::File { path: path.clone(), source: missing() })?;
    let wanted = Wanted { pedestal: choose_pedestal(bundle, conf.as_ref()), cpu: choose_cpu(conf.as_ref())? };
    pedestal::load(&wanted, &file, nursery).map_err(|source| Error::Load { path, source })
}

fn read_client_conf(rootfs: &Rootfs) -> Result<Option<ClientConf>, Error> {
    let path = layout::CLIENT_CONF;
    let Some(bytes) = rootfs.read(path, CLIENT_CONF_LIMIT)? else { return Ok(None) };
    let wrong = |source| RootfsError::ClientConf { path: path.to_owned(), source };
    let (conf, warnings) = ClientConf::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
    for warning in warnings {
        log::warn!("the image's {path}: {warning}");
    }
    Ok(Some(conf))
}

/// An annotation, else what the image asks for; bare metal is what the `qemu` pedestal emulates.
fn choose_pedestal(bundle: &Bundle, conf: Option<&ClientConf>) -> String {
    let annotated = bundle.annotations.get(annotation::PEDESTAL).cloned();
    let image = conf.and_then(ClientConf::pedestal).filter(|pedestal| *pedestal != Pedestal::Baremetal);
    annotated
        .or(image.map(|pedestal| pedestal.as_str().to_owned()))
        .unwrap_or_else(|| DEFAULT_PEDESTAL.to_owned())
}

fn choose_cpu(conf: Option<&ClientConf>) -> Result<Option<u32>, Error> {
    let wrong = |source| RootfsError::Cpu { path: layout::CLIENT_CONF.to_owned(), source };
    Ok(conf.map(ClientConf::single_cpu).transpose().map_err(wrong)?.flatten())
}
