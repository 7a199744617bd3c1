//! Where the server of a group listens.

use std::path::{Path, PathBuf};

use firmware::checksum;

use super::Failure;
use super::args::Args;
use crate::bundle::Bundle;

/// The directory that containerd's own shims use.
const DIR: &str = "/run/containerd/s";
/// Annotations that name a group, the first one present decides.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// The path of the socket of the group that `args.id` belongs to, from the annotations in its bundle.
pub(super) fn socket_path(args: &Args, bundle: &Bundle) -> PathBuf {
    let named = GROUPS.iter().find_map(|key| bundle.annotations.get(*key));
    let group = named.map_or(args.id.as_str(), String::as_str);
    let unique = Path::new(&args.address).join(&args.namespace).join(group);
    Path::new(DIR).join(checksum::sha256(unique.as_os_str().as_encoded_bytes()))
}

/// The address by which containerd calls `path`.
pub(super) fn address(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// Makes the directory of sockets, for root only.
pub(super) fn make_dir() -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(DIR);
    made.map_err(|error| format!("{DIR}: {error}"))
}
