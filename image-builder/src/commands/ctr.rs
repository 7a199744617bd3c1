//! containerd's own client, which does what has to do with the containerd of this machine.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;

const CTR: &str = "ctr";
/// For a containerd that does not answer.
const CONNECT: &str = "--connect-timeout=10s";
/// Most characters of the client's complaint that a message repeats.
const MAX_COMPLAINT: usize = 500;

/// Which containerd.
#[derive(Debug, Args)]
pub(crate) struct ContainerdArgs {
    /// containerd's socket
    #[arg(long, value_name = "SOCKET", default_value = "/run/containerd/containerd.sock")]
    address: PathBuf,
    /// containerd's namespace; that of Kubernetes is k8s.io, that of Docker moby
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
}

/// Why the client did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtrError {
    #[error("cannot run {CTR}, which comes with containerd: {0}")]
    Run(io::Error),
    #[error("{CTR} failed, {status}: {complaint}")]
    Failed { status: ExitStatus, complaint: String },
}

impl ContainerdArgs {
    /// Runs `ctr images WORDS...` and gives what it prints.
    pub(crate) fn images<W: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = W>,
    ) -> Result<String, CtrError> {
        let mut ctr = Command::new(CTR);
        ctr.arg("--address").arg(&self.address).arg("--namespace").arg(&self.namespace).arg(CONNECT);
        let output = ctr.arg("images").args(words).stdin(Stdio::null()).output().map_err(CtrError::Run)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.trim().trim_start_matches("ctr: ").chars().take(MAX_COMPLAINT).collect();
        Err(CtrError::Failed { status: output.status, complaint })
    }
}
