//! `import`: brings the image of an archive into the containerd of this machine, by containerd's own client.

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;

use super::look::{PrintError, print};

const CTR: &str = "ctr";
/// For a containerd that does not answer.
const CONNECT: &str = "--connect-timeout=10s";
/// Most characters of the client's complaint that a message repeats.
const MAX_COMPLAINT: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Image archive
    #[arg(value_name = "TAR")]
    archive: PathBuf,
    /// containerd's socket
    #[arg(long, value_name = "SOCKET", default_value = "/run/containerd/containerd.sock")]
    address: PathBuf,
    /// containerd's namespace; that of Kubernetes is k8s.io, that of Docker moby
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// Snapshotter to unpack for, such as erofs; overlayfs if absent
    #[arg(long, value_name = "SNAPSHOTTER")]
    snapshotter: Option<String>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("cannot run {CTR}, which comes with containerd: {0}")]
    Run(io::Error),
    #[error("{CTR} failed, {status}: {complaint}")]
    Failed { status: ExitStatus, complaint: String },
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// Runs the command; on success prints what containerd's client does.
pub(crate) fn run(args: &ImportArgs) -> Result<(), ImportError> {
    let mut ctr = Command::new(CTR);
    ctr.arg("--address").arg(&args.address).arg("--namespace").arg(&args.namespace).arg(CONNECT);
    ctr.args(["images", "import"]);
    if let Some(snapshotter) = &args.snapshotter {
        ctr.arg("--snapshotter").arg(snapshotter);
    }
    let output = ctr.arg(&args.archive).stdin(Stdio::null()).output().map_err(ImportError::Run)?;
    if output.status.success() {
        return Ok(print(&String::from_utf8_lossy(&output.stdout))?);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim().trim_start_matches("ctr: ").chars().take(MAX_COMPLAINT).collect();
    Err(ImportError::Failed { status: output.status, complaint })
}
