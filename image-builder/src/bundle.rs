//! From firmware to an image: what is checked, what goes in, what the labels say.

use std::{io, iter};

use firmware::board::{Board, BoardError};
use firmware::client_conf::{ClientConf, ConfError, Key, Pedestal, Problem, Warning};
use firmware::elf::{Elf, ElfError};
use firmware::{checksum, label, layout};

use crate::epoch::Epoch;
use crate::image_path::{self, ClashError, ImagePath};
use crate::oci::{self, Blob, Labels};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::{archive, layer};

/// The machine that [`Elf`] proves, by the name labels use.
pub(crate) const MACHINE: &str = "aarch64";

/// All that decides about an image.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Bytes of the ELF file.
    pub firmware: &'a [u8],
    /// Text of `client.conf`; without it one is made from the image's name and the board's last core.
    pub client_conf: Option<&'a str>,
    /// Values that are set over those of `client.conf`.
    pub settings: &'a [(Key, String)],
    /// The board that the firmware must fit.
    pub board: &'a Board,
    /// Name of the image.
    pub name: &'a Reference,
    /// Platform of the containerd host.
    pub platform: Platform,
    /// Time of the files and of the image; without it files have time 0 and the image has none.
    pub time: Option<Epoch>,
    /// Arguments that follow the firmware in the image's entrypoint.
    pub args: &'a [String],
    /// Further files of the image.
    pub files: &'a [(ImagePath, Vec<u8>)],
    /// Labels that the caller knows and the firmware does not say.
    pub labels: &'a [(&'static str, String)],
    /// Further labels of the user.
    pub annotations: &'a [(String, String)],
}

/// An image, ready to be written.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The archive, a tar file.
    pub archive: Vec<u8>,
    /// Digest of the manifest, by which registries and containerd know the image.
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
    /// Tar cannot express it.
    #[error("cannot make the archive: {0}")]
    Tar(#[from] io::Error),
}

/// Checks the request and makes the image. Equal requests give equal bytes.
pub fn bundle(request: &Request<'_>) -> Result<Bundle, BundleError> {
    let elf = Elf::parse(request.firmware)?;
    request.board.fits(&elf).map_err(BundleError::Board)?;
    let (conf, warnings) = client_conf(request)?;
    let labels = labels(request, &conf)?;
    let mtime = request.time.map_or(0, Epoch::seconds);
    let layer = Blob::layer(pack(request, &conf, mtime)?);
    let entrypoint: Vec<&str> =
        iter::once(layout::FIRMWARE).chain(request.args.iter().map(String::as_str)).collect();
    let config = oci::config(request.platform, request.time, &entrypoint, &labels, &layer);
    let manifest = oci::manifest(&config, &layer, &labels);
    let archive = archive::build(request.name.as_str(), &config, &manifest, &layer, mtime)?;
    Ok(Bundle { archive, digest: manifest.digest().to_owned(), warnings })
}

/// The layer with all files of the image.
fn pack(request: &Request<'_>, conf: &ClientConf, mtime: u64) -> Result<Vec<u8>, BundleError> {
    let conf = conf.to_string();
    let mut files = vec![(layout::FIRMWARE, request.firmware), (layout::CLIENT_CONF, conf.as_bytes())];
    files.extend(request.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    image_path::apart(files.iter().map(|(path, _)| *path))?;
    Ok(layer::build(&files, mtime)?)
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
    conf.set(Key::FirmwareCrc32, &checksum::crc32(request.firmware))?;
    conf.set(Key::FirmwareSha256, &checksum::sha256(request.firmware))?;
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
        (label::FIRMWARE_CRC32, checksum::crc32(request.firmware)),
        (label::FIRMWARE_HASH, format!("sha256:{}", checksum::sha256(request.firmware))),
    ];
    known.into_iter().chain(cpu).chain(pedestal).map(|(key, value)| (key.to_owned(), value)).collect()
}
