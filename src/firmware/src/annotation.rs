//! Keys of the container annotations (OCI `config.json`) that the shim reads.

/// Path of the firmware in the container's root file system; without it [`crate::layout::FIRMWARE`] is taken.
pub const FIRMWARE_PATH: &str = "org.openeuler.micrun.container.firmware_path";

/// How the core is driven, by the name of the pedestal; without it the image's `client.conf` decides.
pub const PEDESTAL: &str = "org.openeuler.micrun.ped.pedestal";
