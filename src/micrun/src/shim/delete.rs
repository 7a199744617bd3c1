//! `delete`: cleans up after a container from what is recorded in its bundle, whether or not a server is left.
//!
//! containerd calls it after every normal end too, so everything may be gone already. It has five seconds.

use std::path::{Path, PathBuf};

use containerd_shim_protos::protobuf::Message;

use super::address::{self, Lock};
use super::args::Args;
use super::{Failure, delegate, say};
use crate::bundle::{Bundle, ROOTFS};
use crate::kind::Kind;
use crate::pedestal::Held;
use crate::pedestal::group::Group;
use crate::rootfs;
use crate::service::delete_response;
use crate::store::{self, Record};
use crate::sys;

/// Exit status of a container whose core had to be stopped here, or whose end nobody saw.
const STATUS_KILLED: u32 = 128 + libc::SIGKILL as u32;

/// Cleans up as far as it can, and tells containerd how the container ended. What cannot be cleaned up is one line each
/// on standard error, and no reason to keep the answer back.
pub(super) fn delete(args: &Args) -> Result<(), Failure> {
    let dir = bundle_dir(args);
    let bundle = Bundle::open(&dir).ok();
    if bundle.as_ref().is_some_and(|bundle| Kind::of(bundle) == Kind::Linux) || delegate::was_here(&dir) {
        // Gives back why the other shim cannot be called; what it would have left is then mounted here.
        done(Err(delegate::delete(args, &dir)));
    }
    let record = Record::read(&dir);
    let stopped = record.as_ref().is_none_or(|record| done(stop(record)));
    // A group goes when it is dropped, now that nothing runs in it.
    drop(bundle.as_ref().and_then(|bundle| Group::named(&bundle.cgroups_path)));
    done(unmount(&dir, bundle.as_ref()));
    done(remove_socket(&dir));
    if stopped {
        // Otherwise the next call tries again.
        Record::remove(&dir);
    }
    let ended = record.and_then(|record| record.exit()).unwrap_or_else(|| store::unknown_end(STATUS_KILLED));
    // No process of the container is left to be named.
    let response = delete_response(0, ended).write_to_bytes().map_err(|error| error.to_string())?;
    say(&response)
}

/// True if it was done; otherwise says why not.
fn done(result: Result<(), Failure>) -> bool {
    result.inspect_err(|failure| eprintln!("containerd-shim-mica-v2: {failure}")).is_ok()
}

/// Makes sure that nothing runs.
fn stop(record: &Record) -> Result<(), Failure> {
    if let Some(process) = record.process {
        let failed = |error| format!("ending process {}: {error}", process.pid);
        sys::kill_process(process).map_err(failed)?;
    }
    record.held.as_ref().map_or(Ok(()), Held::end).map_err(|error| format!("ending the core: {error}"))
}

/// Unmounts the root file system. Docker's lies elsewhere and is Docker's to unmount.
fn unmount(dir: &Path, bundle: Option<&Bundle>) -> Result<(), Failure> {
    let rootfs = bundle.map_or_else(|| dir.join(ROOTFS), |bundle| bundle.rootfs.clone());
    if !rootfs.starts_with(dir) {
        return Ok(());
    }
    rootfs::unmount(&rootfs).map_err(|errno| format!("unmounting {}: {errno}", rootfs.display()))
}

/// Removes the socket of a server that is gone.
fn remove_socket(dir: &Path) -> Result<(), Failure> {
    let Some(path) = address::announced(dir).filter(|path| path.exists()) else { return Ok(()) };
    address::remove_dead(&path, &Lock::take(&path)?);
    Ok(())
}

fn bundle_dir(args: &Args) -> PathBuf {
    // A working directory that was removed has nothing to clean up.
    let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    if args.bundle.is_empty() { here() } else { PathBuf::from(&args.bundle) }
}
