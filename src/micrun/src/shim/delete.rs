//! `delete`: cleans up after a container from what is recorded in its bundle, whether or not a server is left.
//!
//! containerd calls it after every normal end too, so everything may be gone already. It has five seconds.

use std::io::Write;
use std::path::{Path, PathBuf};

use containerd_shim_protos::protobuf::Message;

use super::Failure;
use super::address::{self, Lock};
use super::args::Args;
use crate::bundle::Bundle;
use crate::rootfs;
use crate::service::delete_response;
use crate::store::{self, Record};
use crate::sys;

/// Exit status of a container whose core had to be stopped here, or whose end nobody saw.
const STATUS_KILLED: u32 = 128 + libc::SIGKILL as u32;

/// Cleans up as far as it can, and tells containerd how the container ended. What cannot be cleaned up is one line each
/// on standard error, and no reason to keep the answer back.
pub(super) fn delete(args: &Args) -> Result<(), Failure> {
    let dir = bundle_dir(args)?;
    let record = Record::read(&dir);
    let stopped = record.as_ref().is_none_or(|record| done(stop(record)));
    done(clean(args, &dir));
    if stopped {
        // Otherwise the next call tries again.
        Record::remove(&dir);
    }
    let ended = record.and_then(|record| record.exit()).unwrap_or_else(|| store::unknown_end(STATUS_KILLED));
    // No process of the container is left to be named.
    let response = delete_response(0, ended).write_to_bytes().map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&response).map_err(|error| format!("stdout: {error}"))
}

/// True if it was done; otherwise says why not.
fn done(result: Result<(), Failure>) -> bool {
    result.inspect_err(|failure| eprintln!("containerd-shim-mica-v2: {failure}")).is_ok()
}

/// Makes sure that nothing runs.
fn stop(record: &Record) -> Result<(), Failure> {
    let Some(process) = record.process else { return Ok(()) };
    sys::kill_process(process).map_err(|error| format!("ending process {}: {error}", process.pid))
}

/// Unmounts, and removes the socket of a server that is gone.
fn clean(args: &Args, dir: &Path) -> Result<(), Failure> {
    let bundle = Bundle::open(dir).ok();
    let rootfs = bundle.as_ref().map_or_else(|| dir.join("rootfs"), |bundle| bundle.rootfs.clone());
    // Docker's root file system lies elsewhere and is Docker's to unmount.
    if rootfs.starts_with(dir) {
        rootfs::unmount(&rootfs).map_err(|errno| format!("unmounting {}: {errno}", rootfs.display()))?;
    }
    if let Some(bundle) = &bundle {
        address::remove_dead(&address::socket_path(args, bundle), &Lock::take()?);
    }
    Ok(())
}

fn bundle_dir(args: &Args) -> Result<PathBuf, Failure> {
    let dir = if args.bundle.is_empty() { std::env::current_dir() } else { Ok(PathBuf::from(&args.bundle)) };
    dir.map_err(|error| format!("working directory: {error}"))
}
