//! From firmware to an image: what is checked, what goes in, what the labels say.

use std::fs::File;
use std::{io, iter};

use firmware::board::{Board, BoardError};
use firmware::client_conf::{ClientConf, ConfError, Key, Pedestal, Problem, Warning};
use firmware::elf::ElfError;
use firmware::{label, layout};

use crate::archive::Writer;
use crate::content::{Content, ContentError};
use crate::epoch::Epoch;
use crate::fit::{self, Misfit};
use crate::image_path::{self, ClashError, ImagePath};
use crate::layer::{self, Format, LayerError};
use crate::oci::{self, Descriptor, Labels};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::sbom::{self, Sbom};

/// The machine that [`firmware::elf::Elf`] proves, by the name labels use.
pub(crate) const MACHINE: &str = "aarch64";

/// All that decides about an image.
#[derive(Debug)]
pub struct Request<'a> {
    /// The ELF file.
    pub firmware: &'a Content,
    /// Text of `client.conf`; without it one is made from the image's name and the board's last core.
    pub client_conf: Option<&'a str>,
    /// Values that are set over those of `client.conf`.
    pub settings: &'a [(Key, String)],
    /// The board that the firmware must fit.
    pub board: &'a Board,
    /// Name of the image.
    pub name: &'a Reference,
    /// Platforms of containerd hosts, at least one; of several, the image is an index.
    pub platforms: &'a [Platform],
    /// How the layer is packed.
    pub format: Format,
    /// What goes along as the image's bill of materials.
    pub sbom: Option<&'a Sbom>,
    /// Time of the files and of the image; without it files have time 0 and the image has none.
    pub time: Option<Epoch>,
    /// Arguments that follow the firmware in the image's entrypoint.
    pub args: &'a [String],
    /// Further files of the image.
    pub files: &'a [(ImagePath, Content)],
    /// Labels that the caller knows and the firmware does not say.
    pub labels: &'a [(&'static str, String)],
    /// Further labels of the user.
    pub annotations: &'a [(String, String)],
}

/// An image that was written.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Digest of the manifest or index, by which registries and containerd know the image.
    pub digest: String,
    /// What in `client.conf` is surely not meant as it stands.
    pub warnings: Vec<Warning>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The firmware is broken or of another kind.
    #[error("firmware: {0}")]
    Elf(#[from] ElfError),
    /// The firmware does not suit the board.
    #[error("firmware: {0}")]
    Board(BoardError),
    /// The firmware asks for memory that is not the board's to give.
    #[error("firmware: {0}")]
    Table(#[from] Misfit),
    /// The firmware cannot be read any more.
    #[error(transparent)]
    Firmware(#[from] ContentError),
    /// `client.conf` is broken.
    #[error("client.conf: {0}")]
    Conf(#[from] ConfError),
    /// A value in `client.conf`, given or made from the image's name, is wrong.
    #[error("client.conf: {0}")]
    Value(#[from] Problem),
    /// The core of `client.conf` is not one for firmware.
    #[error("client.conf: {0}")]
    Cpu(BoardError),
    /// `client.conf` names no core, which MICA would take for core 0, Linux's own.
    #[error("client.conf: CPU is missing, board {board} runs firmware on cpu 1 to {last}")]
    NoCpu {
        /// The board.
        board: String,
        /// Its last core.
        last: u32,
    },
    /// Files that can't both be there.
    #[error(transparent)]
    Clash(#[from] ClashError),
    /// A label that is there already.
    #[error("annotation {0} is written by the builder or given twice")]
    Annotation(String),
    /// A label that has no name.
    #[error("annotation {0:?} must have a name of printable characters without blanks")]
    AnnotationName(String),
    /// The layer cannot be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The archive cannot be written.
    #[error("cannot write the archive: {0}")]
    Archive(#[from] io::Error),
}

/// Checks the request and writes the image's archive to `output`, a new file. Equal requests give equal bytes.
pub fn bundle(request: &Request<'_>, output: &mut File) -> Result<Bundle, BundleError> {
    let elf = request.firmware.elf()?;
    request.board.fits(&elf).map_err(BundleError::Board)?;
    let table = request.firmware.short_part(&elf.resource_table().file)?;
    fit::fits(request.board, &table)?;
    let (conf, warnings) = client_conf(request)?;
    let labels = labels(request, &conf)?;
    let conf = Content::from(conf.to_string().into_bytes());
    let files = files(request, &conf)?;
    let mut archive = Writer::new(output, mtime(request))?;
    let (layer, diff_id) = archive
        .blob(request.format.media_type(), |out| layer::write(request.format, &files, mtime(request), out))?;
    let image = Image::write(request, &mut archive, &labels, &layer, &diff_id)?;
    let mut listed = vec![image.root.clone().named(request.name.as_str())];
    listed.extend(
        request
            .sbom
            .map(|sbom| referrer(sbom, request, &labels, &files, &image.root, &mut archive))
            .transpose()?,
    );
    let docker = (request.format != Format::Erofs)
        .then(|| oci::docker_manifest(&image.config, [&layer], Some(request.name.as_str())));
    archive.finish(&oci::index(&listed, &Labels::new()), docker.as_deref())?;
    Ok(Bundle { digest: image.root.digest, warnings })
}

fn mtime(request: &Request<'_>) -> u64 {
    request.time.map_or(0, Epoch::seconds)
}

/// The documents of an image, written.
struct Image {
    /// The manifest, or the index of all manifests.
    root: Descriptor,
    /// The configuration for the first platform, the one that Docker gets.
    config: Descriptor,
}

impl Image {
    fn write(
        request: &Request<'_>,
        archive: &mut Writer<'_>,
        labels: &Labels,
        layer: &Descriptor,
        diff_id: &str,
    ) -> io::Result<Image> {
        let entrypoint: Vec<&str> =
            iter::once(layout::FIRMWARE).chain(request.args.iter().map(String::as_str)).collect();
        let (mut manifests, mut configs) = (Vec::new(), Vec::new());
        for platform in request.platforms {
            let config = oci::config(*platform, request.time, &entrypoint, labels, diff_id);
            let config = archive.document(oci::CONFIG_TYPE, &config)?;
            let manifest = archive.document(oci::MANIFEST_TYPE, &oci::manifest(&config, layer, labels))?;
            manifests.push(manifest.on(*platform));
            configs.push(config);
        }
        let root = match manifests.as_slice() {
            [manifest] => Descriptor::new(oci::MANIFEST_TYPE, manifest.digest.clone(), manifest.size),
            several => archive.document(oci::INDEX_TYPE, &oci::index(several, labels))?,
        };
        let config = configs.into_iter().next().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Image { root, config })
    }
}

/// The bill of materials and its manifest.
fn referrer(
    sbom: &Sbom,
    request: &Request<'_>,
    labels: &Labels,
    files: &[(&str, &Content)],
    subject: &Descriptor,
    archive: &mut Writer<'_>,
) -> Result<Descriptor, BundleError> {
    let bytes = sbom.document(request.name, labels, files, request.time);
    let blob = archive.document(sbom.media_type(), &bytes)?;
    let empty = archive.document(oci::EMPTY_TYPE, oci::EMPTY)?;
    let manifest = oci::referrer(sbom.media_type(), &empty, &blob, subject, &sbom::annotations(request.time));
    Ok(archive.document(oci::MANIFEST_TYPE, &manifest)?.of_type(sbom.media_type()))
}

/// All files of the image.
fn files<'a>(request: &Request<'a>, conf: &'a Content) -> Result<Vec<(&'a str, &'a Content)>, ClashError> {
    let mut files = vec![(layout::FIRMWARE, request.firmware), (layout::CLIENT_CONF, conf)];
    files.extend(request.files.iter().map(|(path, content)| (path.as_str(), content)));
    image_path::apart(files.iter().map(|(path, _)| *path))?;
    Ok(files)
}

/// The `client.conf` of the image: the given one or a new one, its path that of the firmware in the image.
fn client_conf(request: &Request<'_>) -> Result<(ClientConf, Vec<Warning>), BundleError> {
    let (mut conf, warnings) = match request.client_conf {
        Some(text) => ClientConf::parse(text)?,
        None => (ClientConf::new(request.name.base(), layout::FIRMWARE)?, Vec::new()),
    };
    for (key, value) in request.settings {
        conf.set(*key, value)?;
    }
    conf.set(Key::ClientPath, layout::FIRMWARE)?;
    conf.set(Key::Board, &request.board.name)?;
    conf.set(Key::FirmwareCrc32, request.firmware.crc32())?;
    conf.set(Key::FirmwareSha256, request.firmware.sha256())?;
    if request.client_conf.is_none() && conf.cpu().is_none() && takes_one_cpu(&conf) {
        conf.set(Key::Cpu, &request.board.default_cpu().to_string())?;
    }
    conf.check_pedestal()?;
    check_cpu(&conf, request.board)?;
    Ok((conf, warnings))
}

fn takes_one_cpu(conf: &ClientConf) -> bool {
    conf.pedestal().is_none_or(Pedestal::takes_one_cpu)
}

/// The core that `client.conf` names is one for firmware, if its pedestal takes one core.
pub(crate) fn check_cpu(conf: &ClientConf, board: &Board) -> Result<(), BundleError> {
    if !takes_one_cpu(conf) {
        return Ok(());
    }
    let missing = || BundleError::NoCpu { board: board.name.clone(), last: board.default_cpu() };
    let cpu = conf.single_cpu()?.ok_or_else(missing)?;
    board.window(cpu).map(drop).map_err(BundleError::Cpu)
}

/// Labels of the configuration, which are the annotations of the manifest as well: tools look at either.
fn labels(request: &Request<'_>, conf: &ClientConf) -> Result<Labels, BundleError> {
    let mut labels = firmware_labels(request, conf);
    labels.extend(request.labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    if let Some(time) = request.time {
        labels.insert("org.opencontainers.image.created".to_owned(), time.to_string());
    }
    for (key, value) in request.annotations {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BundleError::AnnotationName(key.clone()));
        }
        if labels.insert(key.clone(), value.clone()).is_some() {
            return Err(BundleError::Annotation(key.clone()));
        }
    }
    Ok(labels)
}

/// What can be said of the firmware itself.
fn firmware_labels(request: &Request<'_>, conf: &ClientConf) -> Labels {
    let cpu = conf.cpu().map(|cpu| (label::FIRMWARE_CPU, cpu.to_owned()));
    let pedestal = conf.pedestal().map(|pedestal| (label::PEDESTAL, pedestal.to_string()));
    let known = [
        (label::BOARD, request.board.name.clone()),
        (label::FIRMWARE_MACHINE, MACHINE.to_owned()),
        (label::FIRMWARE_PATH, layout::FIRMWARE.to_owned()),
        (label::CLIENT_CONF_PATH, layout::CLIENT_CONF.to_owned()),
        (label::FIRMWARE_CRC32, request.firmware.crc32().to_owned()),
        (label::FIRMWARE_HASH, format!("sha256:{}", request.firmware.sha256())),
    ];
    known.into_iter().chain(cpu).chain(pedestal).map(|(key, value)| (key.to_owned(), value)).collect()
}
