//! Keys of the container annotations (OCI `config.json`) that the shim reads.

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

/// `true`: the pod stays in the host's network namespace, whatever its specification says.
pub const DISABLE_NEW_NETNS: &str = "org.openeuler.micrun.runtime.disable_new_netns";

/// Path of the firmware in the container's root file system; without it [`crate::layout::FIRMWARE`] is taken.
pub const FIRMWARE_PATH: &str = "org.openeuler.micrun.container.firmware_path";

/// How the core is driven, by the name of the pedestal; without it the image's `client.conf` decides.
pub const PEDESTAL: &str = "org.openeuler.micrun.ped.pedestal";
