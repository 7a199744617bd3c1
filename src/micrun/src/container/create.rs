//! Create: mounts, reads and loads, so that every error of image and board shows here and not at Start.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use super::limits::Limits;
use super::{Container, Core, Infra, Inner, Prepared, State, Surroundings, instance, pid};
use crate::bundle::Bundle;
use crate::console::{Console, Owner, Streams};
use crate::error::Error;
use crate::events::Event;
use crate::kind::{self, Kind};
use crate::pedestal::{self, Held, Loaded, Process, Wanted};
use crate::resources::{CoreLimits, Driver, Policy};
use crate::rootfs::{Image, Mount, Rootfs, RootfsError};
use crate::rpc::SharedFiles;
use crate::settings::Settings;
use crate::store::Record;
use crate::waiters::Waiters;
use firmware::client_conf::{self, ClientConf, Pedestal};
use firmware::file::{FileError, MAX_FIRMWARE_LEN};
use firmware::integrity::Expected;
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
    /// When the caller stops waiting, if it does.
    pub deadline: Option<Instant>,
}

impl Container {
    /// Makes a container ready to start. On an error nothing is left: what was mounted and mapped is dropped.
    pub fn create(request: Request, surroundings: Surroundings) -> Result<Container, Error> {
        let Request { id, bundle, mounts, streams, deadline } = request;
        let opened = Bundle::open(&bundle)?;
        let rootfs = Rootfs::mount(&opened.rootfs, &mounts)?;
        let Surroundings { namespace, nursery, .. } = &surroundings;
        let owner = Owner { id: &id, namespace, user: opened.user, nursery };
        let (prepared, limits) = prepare(&opened, &rootfs, &streams, &owner)?;
        let process = prepared.process();
        let pid = process.map_or_else(pid, |process| process.pid);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            // Nobody would ever delete what nobody heard of.
            return Err(Error::Late(id));
        }
        Record::alive(process, prepared.held()).write(&bundle)?;
        let created = Event::Create { bundle: bundle.clone(), streams: streams.clone() };
        surroundings.events.publish(&id, pid, created);
        let inner = Mutex::new(Inner {
            state: State::Created,
            prepared: Some(prepared),
            waiters: Waiters::default(),
            session: None,
            infra: None,
            pending: None,
            process,
            control: None,
            limits,
            rootfs: Some(rootfs),
        });
        Ok(Container { id, bundle, streams, pid, surroundings, turn: Mutex::default(), inner })
    }
}

impl Prepared {
    /// The process that is there before Start.
    fn process(&self) -> Option<Process> {
        match self {
            Prepared::Core(_) => None,
            Prepared::Infra(infra) => infra.process(),
        }
    }

    /// How another process ends what Start will start.
    fn held(&self) -> Option<Held> {
        match self {
            Prepared::Core(core) => core.loaded.held(),
            Prepared::Infra(_) => None,
        }
    }
}

fn prepare(
    bundle: &Bundle,
    rootfs: &Rootfs,
    streams: &Streams,
    owner: &Owner<'_>,
) -> Result<(Prepared, Option<Limits>), Error> {
    match Kind::of(bundle) {
        Kind::Infra => Ok((Prepared::Infra(Infra::new(bundle, owner.nursery)?), None)),
        // `start` hands Linux images to another shim; one that comes here all the same has no firmware.
        Kind::Rtos | Kind::Linux => {
            let image = rootfs.image()?;
            let conf = read_client_conf(&image)?;
            let settings = Settings::read(&bundle.annotations, conf.as_ref())?;
            let pedestal = choose_pedestal(bundle, conf.as_ref());
            // What a node that says nothing allows.
            let policy = Policy { node_max_vcpus: 8, pin: true, ..instance::policy(conf.as_ref()) };
            let isolated = instance::pedestal(&pedestal, conf.as_ref());
            let driver = Driver::of(isolated.map_or(&pedestal, |isolated| isolated.as_str()));
            let limits = Limits::new(driver, policy, bundle.resources.clone())?;
            let loaded = load(bundle, &image, conf.as_ref(), &limits.plan.core, owner)?;
            let console = Console::open(streams, owner, settings.input_rate)?;
            let files = SharedFiles { root: bundle.rootfs.clone(), volumes: bundle.volumes.clone() };
            Ok((Prepared::Core(Box::new(Core { loaded, console, settings, files })), Some(limits)))
        }
    }
}

fn load(
    bundle: &Bundle,
    image: &Image<'_>,
    conf: Option<&ClientConf>,
    limits: &CoreLimits,
    owner: &Owner<'_>,
) -> Result<Loaded, Error> {
    let named = annotation::find(&bundle.annotations, annotation::FIRMWARE_PATH);
    let named = named.or(conf.map(ClientConf::client_path)).or_else(|| kind::firmware_of(bundle));
    let path = named.unwrap_or(layout::FIRMWARE).to_owned();
    let missing = || FileError::Io(nix::Error::ENOENT.into());
    // An annotation may name another file than the one that `client.conf` speaks of.
    let said = conf.filter(|conf| conf.client_path() == path);
    let expected = Expected::new(&bundle.annotations, said);
    let file = image.read(&path, MAX_FIRMWARE_LEN)?;
    let file = file.ok_or_else(|| RootfsError::File { path: path.clone(), source: missing() })?;
    let verdict = expected.and_then(|expected| expected.check(&file));
    verdict.map_err(|source| Error::Firmware { path: path.clone(), source })?;
    let pedestal = choose_pedestal(bundle, conf);
    if let Some(pedestal) = instance::pedestal(&pedestal, conf) {
        return instance::load(pedestal, (&path, &file), conf, limits, (bundle, image), owner);
    }
    let wanted = Wanted {
        pedestal,
        board: choose_board(bundle),
        cpu: choose_cpu(conf)?,
        remoteproc: annotation::find(&bundle.annotations, annotation::REMOTEPROC).map(str::to_owned),
        owner: format!("{}/{}", owner.namespace, owner.id),
    };
    pedestal::load(&wanted, &file, owner.nursery).map_err(|source| Error::Load { path, source })
}

fn read_client_conf(image: &Image<'_>) -> Result<Option<ClientConf>, Error> {
    let path = layout::CLIENT_CONF;
    let Some(bytes) = image.read(path, CLIENT_CONF_LIMIT)? else { return Ok(None) };
    let wrong = |source| RootfsError::ClientConf { path: path.to_owned(), source };
    let (conf, warnings) = ClientConf::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
    for warning in warnings {
        log::warn!("the image's {path}: {warning}");
    }
    Ok(Some(conf))
}

/// An annotation, be it one that names a remote processor, else what the image asks for; bare metal is what the `qemu`
/// pedestal emulates.
fn choose_pedestal(bundle: &Bundle, conf: Option<&ClientConf>) -> String {
    let annotated = annotation::find(&bundle.annotations, annotation::PEDESTAL);
    let remoteproc = || annotation::find(&bundle.annotations, annotation::REMOTEPROC).map(|_| "remoteproc");
    let annotated = annotated.or_else(remoteproc);
    let image = conf.and_then(ClientConf::pedestal).filter(|pedestal| *pedestal != Pedestal::Baremetal);
    annotated.or(image.map(Pedestal::as_str)).unwrap_or(DEFAULT_PEDESTAL).to_owned()
}

/// The board that an annotation names.
fn choose_board(bundle: &Bundle) -> Option<String> {
    annotation::find(&bundle.annotations, annotation::BOARD).map(str::to_owned)
}

pub(super) fn choose_cpu(conf: Option<&ClientConf>) -> Result<Option<u32>, Error> {
    let wrong = |source| RootfsError::Cpu { path: layout::CLIENT_CONF.to_owned(), source };
    Ok(conf.map(ClientConf::single_cpu).transpose().map_err(wrong)?.flatten())
}
