//! Names of the labels that the builder writes into an image.
//!
//! They describe the firmware for people, registries and admission policies. containerd does not hand image
//! labels to a shim, so nothing at run time may depend on them.

/// What all of micrun's own labels and annotations begin with.
pub const PREFIX: &str = "org.openeuler.micrun.";

/// RTOS of the firmware, such as `zephyr`.
pub const RTOS: &str = "org.openeuler.micrun.container.os";
/// Version of the RTOS.
pub const RTOS_VERSION: &str = "org.openeuler.micrun.container.os_version";
/// Board for which the firmware was checked, a name of [`crate::board`].
pub const BOARD: &str = "org.openeuler.micrun.board";
/// Machine of the ELF file, `aarch64`. An image's own architecture is the *host's*, for containerd to unpack
/// it.
pub const FIRMWARE_MACHINE: &str = "org.openeuler.micrun.container.firmware_machine";
/// `CPU` of the image's `client.conf`.
pub const FIRMWARE_CPU: &str = "org.openeuler.micrun.container.firmware_cpu";
/// CRC-32 of the firmware in the form of [`crate::checksum::crc32`].
pub const FIRMWARE_CRC32: &str = "org.openeuler.micrun.container.firmware_crc32";
/// SHA-256 of the firmware, 64 lower-case hex digits after `sha256:`. The same key works as an annotation of a
/// container.
pub const FIRMWARE_HASH: &str = crate::annotation::FIRMWARE_HASH;
/// Path of the firmware in the image. The same key works as an annotation of a container.
pub const FIRMWARE_PATH: &str = crate::annotation::FIRMWARE_PATH;
/// Path of `client.conf` in the image.
pub const CLIENT_CONF_PATH: &str = "org.openeuler.micrun.container.client_conf_path";
/// `Pedestal` of the image's `client.conf`, if it names one.
pub const PEDESTAL: &str = "org.openeuler.micrun.ped.pedestal";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_the_prefix() {
        for label in [
            RTOS,
            RTOS_VERSION,
            BOARD,
            FIRMWARE_MACHINE,
            FIRMWARE_CPU,
            FIRMWARE_CRC32,
            FIRMWARE_HASH,
            FIRMWARE_PATH,
            CLIENT_CONF_PATH,
            PEDESTAL,
        ] {
            assert!(label.strip_prefix(PREFIX).is_some_and(|rest| !rest.is_empty()), "{label}");
        }
    }
}
