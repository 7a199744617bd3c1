//! Keys of the container annotations (OCI `config.json`) that the shim reads.

use std::collections::BTreeMap;

use crate::label::PREFIX;

/// What the keys began with when the project had its first name; they still work.
const FIRST_PREFIX: &str = "org.openeuler.micran.";

/// What the keys of settings begin with; the first one wins.
pub const PREFIXES: [&str; 2] = [PREFIX, FIRST_PREFIX];

/// Prefixes of the keys that say something of one container's firmware, today's and those of the project's first name.
///
/// Keys below `runtime.` are not among them: a pod's are handed to all of its containers, Linux ones included.
pub const OF_FIRMWARE: [&str; 4] = [
    "org.openeuler.micrun.container.",
    "org.openeuler.micrun.ped.",
    "org.openeuler.micran.container.",
    "org.openeuler.micran.ped.",
];

/// Name of the remote processor, in the images of Arm's remoteproc runtime.
pub const REMOTEPROC: &str = "remoteproc.name";

/// Path of the firmware in the container's root file system; without it [`crate::layout::FIRMWARE`] is taken.
pub const FIRMWARE_PATH: &str = "org.openeuler.micrun.container.firmware_path";

/// SHA-256 that the firmware must have, 64 hexadecimal digits with `sha256:` before them or not.
pub const FIRMWARE_HASH: &str = "org.openeuler.micrun.container.firmware_hash";

/// How the firmware is checked before it is loaded: `crc32` or `sha256`, a [`crate::client_conf::Check`].
pub const FIRMWARE_CHECK: &str = "org.openeuler.micrun.container.firmware_check";

/// How the core is driven, by the name of the pedestal; without it the image's `client.conf` decides.
pub const PEDESTAL: &str = "org.openeuler.micrun.ped.pedestal";

/// Path of the pedestal's own file in the container's root file system, where it needs one; without it the image's
/// `client.conf` decides.
pub const PEDESTAL_CONF: &str = "org.openeuler.micrun.ped.conf";

/// The board that the firmware is for, a name of [`crate::board`]. The same key is a label of images.
pub const BOARD: &str = crate::label::BOARD;

/// How long the firmware may take to power itself off; 0 for ever.
pub const STOP_TIMEOUT: &str = "org.openeuler.micrun.container.stop_timeout";

/// Whether the container is ended when its console has been silent for some time.
pub const AUTO_CLOSE: &str = "org.openeuler.micrun.container.auto_close";

/// For how long; 0 for never.
pub const AUTO_CLOSE_TIMEOUT: &str = "org.openeuler.micrun.container.auto_close_timeout";

/// Most bytes of console input per second.
pub const INPUT_RATE: &str = "org.openeuler.micrun.console.input_rate";

/// The value of `key`, also under the project's first name, without the blanks around it; an empty one is none.
pub fn find<'a>(annotations: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    let first = || annotations.get(&format!("{FIRST_PREFIX}{}", key.strip_prefix(PREFIX)?));
    let value = annotations.get(key).or_else(first)?.trim();
    Some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn todays_name_wins_over_the_first_one() {
        let first = PEDESTAL.replace(PREFIX, FIRST_PREFIX);
        let mut annotations = BTreeMap::from([(first, "old".to_owned())]);
        assert_eq!(find(&annotations, PEDESTAL), Some("old"));
        annotations.insert(PEDESTAL.to_owned(), " new\n".to_owned());
        assert_eq!(find(&annotations, PEDESTAL), Some("new"));
        annotations.insert(REMOTEPROC.to_owned(), " ".to_owned());
        assert_eq!(find(&annotations, REMOTEPROC), None);
        assert_eq!(find(&annotations, FIRMWARE_PATH), None);
    }
}
