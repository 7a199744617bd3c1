//! What is looked at: an image archive, or firmware that is not packed yet.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use firmware::client_conf::{self, ClientConf, ConfError, Warning};
use firmware::file::{FileError, MAX_FIRMWARE_LEN};
use firmware::layout;

use crate::blobs::{BlobError, Blobs};
use crate::content::{Content, ContentError};
use crate::image::{self, Image, ImageError};
use crate::input;
use crate::layers::{self, Layer, LayerError};
use crate::platform::Platform;
use crate::progress::Progress;

const ELF: &[u8] = b"\x7fELF";

/// A subject. What is long in it stays in files.
#[derive(Debug)]
pub struct Subject {
    /// The image, if it is one.
    pub image: Option<Image>,
    /// Path of the firmware in the image; empty without an image.
    pub firmware_path: String,
    /// The firmware, unchecked.
    pub firmware: Content,
    /// `client.conf` of the image, if it has one.
    pub client_conf: Option<Result<(ClientConf, Vec<Warning>), ConfProblem>>,
}

/// Why `client.conf` says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfProblem {
    /// Bytes that are no text.
    #[error("it is not text in UTF-8")]
    NotText,
    /// It is broken.
    #[error(transparent)]
    Conf(#[from] ConfError),
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The archive or the image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer.
    #[error("a layer of the image: {0}")]
    Layer(#[from] LayerError),
    /// The firmware in the image.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The image has nothing to run.
    #[error("the image has no file {0:?}, which would be its firmware")]
    NoFirmware(String),
}

impl Subject {
    /// `client.conf`, if there is a valid one.
    pub fn valid_conf(&self) -> Option<&ClientConf> {
        self.client_conf.as_ref()?.as_ref().ok().map(|(conf, _)| conf)
    }
}

impl From<io::Error> for SubjectError {
    fn from(error: io::Error) -> SubjectError {
        SubjectError::File(error.into())
    }
}

impl From<BlobError> for SubjectError {
    fn from(error: BlobError) -> SubjectError {
        SubjectError::Image(error.into())
    }
}

/// Reads a file that begins as ELF as firmware, any other as an archive. `platform` as for [`image::read`].
pub fn open(path: &Path, platform: Option<Platform>) -> Result<Subject, SubjectError> {
    let file = input::open(path)?;
    if starts_as_elf(&file)? {
        let progress = Progress::new("reading", file.metadata()?.len());
        let firmware = Content::open(path, MAX_FIRMWARE_LEN, |count| progress.add(count))?;
        return Ok(Subject { image: None, firmware_path: String::new(), firmware, client_conf: None });
    }
    open_archive(file, platform)
}

/// Reads an archive.
pub fn open_archive(file: File, platform: Option<Platform>) -> Result<Subject, SubjectError> {
    let (image, layers) = image::read(&Blobs::open(file)?, platform)?;
    from_layers(image, &layers)
}

fn starts_as_elf(file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(ELF.len() as u64).read_to_end(&mut start)?;
    Ok(start == ELF)
}

fn from_layers(image: Image, layers: &[Layer]) -> Result<Subject, SubjectError> {
    let client_conf = match layers::find(layers, layout::CLIENT_CONF, client_conf::MAX_LEN as u64)? {
        Some(conf) => {
            let mut bytes = Vec::new();
            conf.reader().read_to_end(&mut bytes)?;
            Some(parse_conf(bytes))
        }
        None => None,
    };
    let (firmware_path, firmware) = find_firmware(&image, layers, client_conf.as_ref())?;
    Ok(Subject { image: Some(image), firmware_path, firmware, client_conf })
}

fn parse_conf(bytes: Vec<u8>) -> Result<(ClientConf, Vec<Warning>), ConfProblem> {
    let text = String::from_utf8(bytes).map_err(|_| ConfProblem::NotText)?;
    Ok(ClientConf::parse(&text)?)
}

/// The shim's rule: `ClientPath`, else the builder's path. Images of others that have neither name it as entrypoint.
fn find_firmware(
    image: &Image,
    layers: &[Layer],
    conf: Option<&Result<(ClientConf, Vec<Warning>), ConfProblem>>,
) -> Result<(String, Content), SubjectError> {
    let named = conf.and_then(|conf| conf.as_ref().ok()).map(|(conf, _)| conf.client_path());
    let path = named.unwrap_or(layout::FIRMWARE);
    let entrypoint = image.entrypoint.first().filter(|_| named.is_none()).map(String::as_str);
    for path in [path].into_iter().chain(entrypoint) {
        if let Some(firmware) = layers::find(layers, path, MAX_FIRMWARE_LEN)? {
            let progress = Progress::new("reading", firmware.len());
            let firmware = Content::read(firmware, Path::new(path), |count| progress.add(count))?;
            return Ok((path.to_owned(), firmware));
        }
    }
    Err(SubjectError::NoFirmware(path.to_owned()))
}
