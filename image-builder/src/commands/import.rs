//! `import`: brings the image of an archive into the containerd of this machine, by containerd's own client.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use super::ctr::{ContainerdArgs, CtrError};
use super::look::{PrintError, print};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Image archive
    #[arg(value_name = "TAR")]
    archive: PathBuf,
    #[command(flatten)]
    containerd: ContainerdArgs,
    /// Snapshotter to unpack for, such as erofs; overlayfs if absent
    #[arg(long, value_name = "SNAPSHOTTER")]
    snapshotter: Option<String>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Ctr(#[from] CtrError),
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Runs the command; on success prints what containerd's client does.
pub(crate) fn run(args: &ImportArgs) -> Result<(), ImportError> {
    let snapshotter = args.snapshotter.iter().flat_map(|name| ["--snapshotter", name]).map(OsStr::new);
    let words = [OsStr::new("import")].into_iter().chain(snapshotter).chain([args.archive.as_os_str()]);
    Ok(print(&args.containerd.images(words)?)?)
}
