//! Create: mounts, reads and loads, so that every error of image and board shows here and not at Start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::image::{Firmware, read_client_conf, read_firmware};
use super::limits::Limits;
use super::{Container, Core, Infra, Inner, Prepared, State, Surroundings, instance, pid};
use crate::bundle::Bundle;
use crate::config::{self, Config, Key, Level, RuntimeOptions};
use crate::console::{Console, Owner, Streams};
use crate::error::Error;
use crate::events::Event;
use crate::kind::Kind;
use crate::pedestal::group::Group;
use crate::pedestal::{self, Held, Loaded, Process, Wanted};
use crate::resources::{CoreLimits, Driver};
use crate::rootfs::{Image, Mount, Rootfs};
use crate::rpc::{Network, SharedFiles};
use crate::settings::Settings;
use crate::store::Record;
use crate::waiters::Waiters;
use firmware::annotation;
use firmware::board::Board;
use firmware::client_conf::{ClientConf, Pedestal};

/// Tells which board this machine is.
const DEVICE_TREE: &str = "/proc/device-tree/compatible";
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
    /// What containerd's configuration says for the runtime.
    pub options: RuntimeOptions,
}

/// Gives the annotations of the pod that a container with these annotations is in.
pub type OfPod<'a> = dyn Fn(&Annotations) -> Annotations + 'a;
pub(super) type Annotations = BTreeMap<String, String>;

impl Container {
    /// Makes a container ready to start. On an error nothing is left: what was mounted and mapped is dropped.
    pub fn create(
        request: Request,
        surroundings: Surroundings,
        of_pod: &OfPod<'_>,
    ) -> Result<Container, Error> {
        let opened = Bundle::open(&request.bundle)?;
        let rootfs = Rootfs::mount(&opened.rootfs, &request.mounts)?;
        let Surroundings { namespace, nursery, .. } = &surroundings;
        let owner = Owner { id: &request.id, namespace, user: opened.user, nursery };
        let Made { prepared, limits, group } = prepare(&opened, &rootfs, &request, of_pod, &owner)?;
        let Request { id, bundle, streams, deadline, .. } = request;
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
            group,
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

/// What Create makes of a bundle.
struct Made {
    prepared: Prepared,
    limits: Option<Limits>,
    group: Option<Arc<Group>>,
}

fn prepare(
    bundle: &Bundle,
    rootfs: &Rootfs,
    request: &Request,
    of_pod: &OfPod<'_>,
    owner: &Owner<'_>,
) -> Result<Made, Error> {
    match Kind::of(bundle) {
        Kind::Infra => {
            let prepared = Prepared::Infra(Infra::new(bundle, owner.nursery)?);
            Ok(Made { prepared, limits: None, group: None })
        }
        // `start` hands Linux images to another shim; one that comes here all the same has no firmware.
        Kind::Rtos | Kind::Linux => {
            let image = rootfs.image()?;
            let conf = read_client_conf(&image)?;
            let pod = of_pod(&bundle.annotations);
            let config = configure(bundle, request, &pod, conf.as_ref())?;
            let pedestal = choose_pedestal(bundle, &config);
            let isolated = instance::pedestal(&pedestal, conf.as_ref());
            let driver = Driver::of(isolated.map_or(&pedestal, |isolated| isolated.as_str()));
            let mut limits = Limits::new(driver, &config, bundle.resources.clone())?;
            let firmware = read_firmware(bundle, &pod, &image, conf.as_ref(), &config)?;
            limits.check(&firmware.bytes)?;
            let group = group(bundle, &limits);
            let chosen = Chosen {
                pedestal,
                isolated,
                group: group.clone(),
                limits: &limits.plan.core,
                conf: conf.as_ref(),
                config: &config,
            };
            let loaded = load(bundle, &image, &firmware, chosen, owner)?;
            config::write(&bundle.dir, &config, &limits.plan);
            let settings = Settings::of(&config);
            let console = Console::open(&request.streams, owner, settings.input_rate)?;
            let network = if settings.rpc_network { Network::of(&bundle.namespaces) } else { Network::Off };
            let (root, volumes) = (bundle.rootfs.clone(), bundle.volumes.clone());
            let files = SharedFiles { root, volumes, network };
            let core = Core { loaded, console, settings, files };
            Ok(Made { prepared: Prepared::Core(Box::new(core)), limits: Some(limits), group })
        }
    }
}

/// What was found out before the firmware is read.
pub(super) struct Chosen<'c> {
    pedestal: String,
    /// What isolates the core, if the pedestal is one of micad's.
    isolated: Option<Pedestal>,
    group: Option<Arc<Group>>,
    pub(super) limits: &'c CoreLimits,
    pub(super) conf: Option<&'c ClientConf>,
    pub(super) config: &'c Config,
}

/// The control group of an emulator that is to be limited. One that cannot be had costs the limits, not the container: the
/// kubelet asks for limits on every node, whatever its control groups can do.
fn group(bundle: &Bundle, limits: &Limits) -> Option<Arc<Group>> {
    if limits.driver != Driver::Qemu {
        return None;
    }
    let group = Group::named(&bundle.cgroups_path)?;
    match group.apply(&limits.plan.group.at_start(), None) {
        Ok(()) => Some(Arc::new(group)),
        Err(error) => {
            log::warn!("limits of cpu time and memory are not enforced: {error}");
            None
        }
    }
}

fn load(
    bundle: &Bundle,
    image: &Image<'_>,
    firmware: &Firmware,
    chosen: Chosen<'_>,
    owner: &Owner<'_>,
) -> Result<Loaded, Error> {
    let Firmware { path, bytes } = firmware;
    if let Some(pedestal) = chosen.isolated {
        return instance::load(pedestal, (path, bytes), &chosen, (bundle, image), owner);
    }
    let Chosen { pedestal, group, config, .. } = chosen;
    let wanted = Wanted {
        pedestal,
        board: config.text(Key::Board).map(str::to_owned),
        cpu: config.cpu()?,
        remoteproc: annotation::find(&bundle.annotations, annotation::REMOTEPROC)
            .or(config.text(Key::Remoteproc))
            .map(str::to_owned),
        owner: format!("{}/{}", owner.namespace, owner.id),
        group,
    };
    let wrong = |source| Error::Load { path: path.clone(), source };
    pedestal::load(&wanted, bytes, owner.nursery).map_err(wrong)
}

/// All that is set for the container, by whomever.
fn configure(
    bundle: &Bundle,
    request: &Request,
    pod: &Annotations,
    conf: Option<&ClientConf>,
) -> Result<Config, Error> {
    let mut config = Config::of_node(&request.options)?;
    if let Some(conf) = conf {
        config.add_image(conf)?;
    }
    config.add_annotations(Level::Pod, pod)?;
    config.add_annotations(Level::Container, &bundle.annotations)?;
    if let Some(board) = board(config.text(Key::Board)) {
        config.add_board(&board.name, &board.settings)?;
    }
    config.warn();
    if config.is_on(Key::Debug) {
        log::set_max_level(log::max_level().max(log::LevelFilter::Debug));
    }
    Ok(config)
}

/// The board of that name, else the one that this machine is. Whoever needs one says what is wrong with it.
fn board(name: Option<&str>) -> Option<Board> {
    let root = Path::new("/");
    match name {
        Some(name) => Board::installed(root, name).ok(),
        // Reads every board file, in vain where there is no device tree.
        None if Path::new(DEVICE_TREE).exists() => Board::detect(root).ok(),
        None => None,
    }
}

/// An annotation, be it one that names a remote processor, else what image, board or node ask for.
fn choose_pedestal(bundle: &Bundle, config: &Config) -> String {
    let wanted = config.text(Key::Pedestal);
    let annotated = wanted.filter(|_| config.level(Key::Pedestal) >= Level::Pod);
    let remoteproc = || annotation::find(&bundle.annotations, annotation::REMOTEPROC).map(|_| "remoteproc");
    annotated.or_else(remoteproc).or(wanted).unwrap_or(DEFAULT_PEDESTAL).to_owned()
}
