//! Whether firmware is the one that was packed: its checksums beside what the image and the container say of it.
//!
//! The values lie in the image's `client.conf`, where the builder writes them: containerd hands no labels to a shim.
//! They find what was torn on its way. Who can change the firmware can change them too; an annotation of the container
//! comes from outside the image, and finds that as well.

use std::collections::BTreeMap;

use crate::client_conf::{Check, ClientConf, Key};
use crate::text::excerpt;
use crate::{annotation, checksum};

/// Firmware is not what it should be, or it is not said what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// Another file than the one that was meant.
    #[error("its {checksum} is {actual}, {said_by} says {expected}: it is torn or was changed")]
    Changed {
        /// Which checksum.
        checksum: &'static str,
        /// That of the file.
        actual: String,
        /// Where the other comes from.
        said_by: &'static str,
        /// What it should be.
        expected: String,
    },
    /// The check was asked for, and there is nothing to check against.
    #[error(
        "its sha-256 is to be checked, but neither the image ({key}) nor annotation {annotation} says what it must be",
        key = Key::FirmwareSha256, annotation = annotation::FIRMWARE_HASH
    )]
    Unknown,
    /// An annotation of another form.
    #[error("annotation {key} is {value:?}, it must be {right}")]
    Annotation {
        /// Its key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        right: &'static str,
    },
}

/// What firmware must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Each with where it comes from.
    crc32: Option<Said>,
    sha256: Option<Said>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    by: &'static str,
    value: String,
}

/// The file in which an image says it, for messages.
const IMAGE: &str = "the image's client.conf";

impl Expected {
    /// What the annotations of a container demand, and `conf`, the image's `client.conf` if it speaks of this firmware.
    pub fn new(
        annotations: &BTreeMap<String, String>,
        conf: Option<&ClientConf>,
    ) -> Result<Expected, IntegrityError> {
        let image = |value: &str| Said { by: IMAGE, value: value.to_owned() };
        let asked = check(annotations)?.or(conf.and_then(ClientConf::firmware_check));
        let demanded = hash(annotations)?;
        let packed = conf.and_then(ClientConf::firmware_sha256).filter(|_| asked == Some(Check::Sha256));
        let sha256 = demanded.or(packed.map(image));
        if asked == Some(Check::Sha256) && sha256.is_none() {
            return Err(IntegrityError::Unknown);
        }
        Ok(Expected { crc32: conf.and_then(ClientConf::firmware_crc32).map(image), sha256 })
    }

    /// Compares with the bytes of the file.
    pub fn check(&self, file: &[u8]) -> Result<(), IntegrityError> {
        compare("crc-32", self.crc32.as_ref(), || checksum::crc32(file))?;
        compare("sha-256", self.sha256.as_ref(), || checksum::sha256(file))
    }
}

fn compare(
    checksum: &'static str,
    expected: Option<&Said>,
    actual: impl FnOnce() -> String,
) -> Result<(), IntegrityError> {
    let Some(Said { by, value }) = expected else { return Ok(()) };
    let actual = actual();
    if actual == *value {
        return Ok(());
    }
    Err(IntegrityError::Changed { checksum, actual, said_by: by, expected: value.clone() })
}

fn check(annotations: &BTreeMap<String, String>) -> Result<Option<Check>, IntegrityError> {
    let key = annotation::FIRMWARE_CHECK;
    let Some(word) = annotation::find(annotations, key) else { return Ok(None) };
    let wrong = || IntegrityError::Annotation { key, value: excerpt(word), right: "crc32 or sha256" };
    Check::find(word).map(Some).ok_or_else(wrong)
}

/// The older micrun took it with `sha256:` and without.
fn hash(annotations: &BTreeMap<String, String>) -> Result<Option<Said>, IntegrityError> {
    let key = annotation::FIRMWARE_HASH;
    let Some(text) = annotation::find(annotations, key) else { return Ok(None) };
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let right = "64 hexadecimal digits, sha256: before them or not";
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(IntegrityError::Annotation { key, value: excerpt(text), right });
    }
    Ok(Some(Said { by: "the annotation", value: hex.to_ascii_lowercase() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC_CRC: &str = "352441c2";
    const ABC_SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn conf(lines: &str) -> ClientConf {
        ClientConf::parse(&format!("[Mica]\nName=a\nClientPath=/a\n[Micrun]\n{lines}")).expect("valid").0
    }

    fn verdict(annotations: &[(&str, &str)], conf: Option<&ClientConf>, file: &[u8]) -> Result<(), String> {
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let text = |error: IntegrityError| error.to_string();
        Expected::new(&pairs, conf).map_err(text)?.check(file).map_err(text)
    }

    #[test]
    fn an_image_that_says_nothing_is_believed() {
        assert_eq!(verdict(&[], None, b"abc"), Ok(()));
        assert_eq!(verdict(&[], Some(&conf("")), b"abc"), Ok(()));
    }

    #[test]
    fn the_crc_is_checked_unasked() {
        let conf =
            conf(&format!("FirmwareCRC32={}\nFirmwareSHA256={}", ABC_CRC.to_uppercase(), "0".repeat(64)));
        assert_eq!(verdict(&[], Some(&conf), b"abc"), Ok(()));
        let both = "its crc-32 is ab40d461, the image's client.conf says 352441c2: it is torn or was changed";
        assert_eq!(verdict(&[], Some(&conf), b"abd"), Err(both.to_owned()));
    }

    #[test]
    fn the_sha_256_is_checked_when_image_or_container_ask() {
        let zeros = "0".repeat(64);
        let wrong = format!(
            "its sha-256 is {ABC_SHA}, the image's client.conf says {zeros}: it is torn or was changed"
        );
        let lie = format!("FirmwareSHA256={zeros}\n");
        let asks = [(annotation::FIRMWARE_CHECK, "sha256")];
        assert_eq!(
            verdict(&[], Some(&conf(&(lie.clone() + "FirmwareCheck=sha256"))), b"abc"),
            Err(wrong.clone())
        );
        assert_eq!(verdict(&asks, Some(&conf(&lie)), b"abc"), Err(wrong));
        assert_eq!(verdict(&asks, Some(&conf(&format!("FirmwareSHA256={ABC_SHA}"))), b"abc"), Ok(()));
        // The container's word is above the image's.
        let image = conf(&(lie + "FirmwareCheck=sha256"));
        assert_eq!(verdict(&[(annotation::FIRMWARE_CHECK, "crc32")], Some(&image), b"abc"), Ok(()));
        let missing = verdict(&asks, Some(&conf("")), b"abc").expect_err("nothing to check against");
        assert!(
            missing.starts_with("its sha-256 is to be checked, but neither the image (FirmwareSHA256)"),
            "{missing}"
        );
    }

    #[test]
    fn an_annotation_says_what_firmware_must_be() {
        let upper = format!("sha256:{}", ABC_SHA.to_uppercase());
        for hash in [ABC_SHA, &upper] {
            assert_eq!(verdict(&[(annotation::FIRMWARE_HASH, hash)], None, b"abc"), Ok(()));
            let error = verdict(&[(annotation::FIRMWARE_HASH, hash)], None, b"abd").expect_err("changed");
            assert!(
                error.ends_with(&format!("the annotation says {ABC_SHA}: it is torn or was changed")),
                "{error}"
            );
        }
    }

    #[test]
    fn annotations_of_another_form_are_refused() {
        let key = "annotation org.openeuler.micrun.container.firmware_";
        assert_eq!(
            verdict(&[(annotation::FIRMWARE_CHECK, "md5")], None, b""),
            Err(format!("{key}check is \"md5\", it must be crc32 or sha256"))
        );
        assert_eq!(
            verdict(&[(annotation::FIRMWARE_HASH, "sha256:12")], None, b""),
            Err(format!(
                "{key}hash is \"sha256:12\", it must be 64 hexadecimal digits, sha256: before them or not"
            ))
        );
    }
}
