//! What Create reads of the image: `client.conf`, and the firmware that is meant.

use std::fs::File;

use super::create::Annotations;
use crate::bundle::Bundle;
use crate::config::{Config, Key, Level};
use crate::error::Error;
use crate::kind;
use crate::rootfs::{Image, RootfsError};
use firmware::client_conf::{self, ClientConf};
use firmware::file::{FileError, MAX_FIRMWARE_LEN};
use firmware::integrity::Expected;
use firmware::layout;

/// Most bytes of a `client.conf`.
const CLIENT_CONF_LIMIT: u64 = client_conf::MAX_LEN as u64;

/// A file that was found in the image.
pub(super) struct Firmware {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// Reads the firmware and proves that it is the one that was meant.
pub(super) fn read_firmware(
    bundle: &Bundle,
    pod: &Annotations,
    image: &Image<'_>,
    conf: Option<&ClientConf>,
    config: &Config,
) -> Result<Firmware, Error> {
    let path = choose_path(bundle, config);
    // An annotation may name another file than the one that `client.conf` speaks of.
    let said = conf.filter(|conf| conf.client_path() == path);
    let mut annotations = pod.clone();
    annotations.extend(bundle.annotations.clone());
    let expected = Expected::new(&annotations, said);
    let bytes = read_file(image, &path, config)?;
    let verdict = expected.and_then(|expected| expected.check(&bytes));
    verdict.map_err(|source| Error::Firmware { path: path.clone(), source })?;
    Ok(Firmware { path, bytes })
}

/// `client.conf`, if the image has one.
pub(super) fn read_client_conf(image: &Image<'_>) -> Result<Option<ClientConf>, Error> {
    let path = layout::CLIENT_CONF;
    let Some(bytes) = image.read(path, CLIENT_CONF_LIMIT)? else { return Ok(None) };
    let wrong = |source| RootfsError::ClientConf { path: path.to_owned(), source };
    let (conf, warnings) = ClientConf::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
    for warning in warnings {
        log::warn!("the image's {path}: {warning}");
    }
    Ok(Some(conf))
}

/// Where the firmware is: what image or container say, else what the container's command is, else what the node says.
fn choose_path(bundle: &Bundle, config: &Config) -> String {
    let wanted = config.text(Key::FirmwarePath).unwrap_or(layout::FIRMWARE);
    let command = kind::firmware_of(bundle).filter(|_| config.level(Key::FirmwarePath) <= Level::Board);
    command.unwrap_or(wanted).to_owned()
}

/// Reads a file of the image. One that the node names may lie on the node instead, for images that have none.
fn read_file(image: &Image<'_>, path: &str, config: &Config) -> Result<Vec<u8>, Error> {
    if let Some(file) = image.read(path, MAX_FIRMWARE_LEN)? {
        return Ok(file);
    }
    let failed = |source| RootfsError::File { path: path.to_owned(), source };
    let of_node =
        config.level(Key::FirmwarePath) == Level::Node && config.text(Key::FirmwarePath) == Some(path);
    if !of_node {
        return Err(failed(FileError::Io(nix::Error::ENOENT.into())).into());
    }
    let file = File::open(path).map_err(FileError::Io);
    Ok(file.and_then(|file| firmware::file::read(&file, MAX_FIRMWARE_LEN)).map_err(failed)?)
}
