//! Where things are in an image. The shim finds them by these paths even when nobody passes annotations on.

/// The firmware, an ELF file; also the image's entrypoint.
pub const FIRMWARE: &str = "/firmware.elf";
/// MICA's description of the client, in the form of [`crate::client_conf`].
pub const CLIENT_CONF: &str = "/etc/mica/client.conf";
/// Command of manifests for images without an entrypoint: Kubernetes refuses a container without any.
pub const PLACEHOLDER: &str = "/micrun-placeholder";
