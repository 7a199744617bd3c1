//! Linux images: containerd's own shim takes over, as if it had been called in our place.
//!
//! `start` and `delete` of such a container become that program, with the same arguments, environment, working
//! directory and unread standard input. So logs, exec, statistics and exit codes are those of a container that never
//! heard of micrun (`docs/adr/0005-linux-images-are-handed-over.md`).

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Failure;
use super::address::{self, Lock};
use super::args::Args;
use super::oci_runtime::{self, Chosen, Installed};
use crate::bundle::Bundle;
use crate::service::shut_down;

const SHIM: &str = "containerd-shim-runc-v2";
/// Where that shim writes down in the bundle, at Create, what it runs the container with.
const MARK: &str = "runtime";
/// Where crun and runc are told to keep their records: below it one directory per namespace, in that one per container.
const RECORDS: &str = "/run/containerd/runc";
const PATH: &str = "PATH";
/// How long a server takes that is about to end, on a busy machine.
const END_DEADLINE: Duration = Duration::from_secs(1);
/// The same where it is likely that it goes on, which keeps containerd waiting for nothing.
const MOMENT: Duration = Duration::from_millis(50);

/// Becomes the other shim, with crun if it is installed and can, else with runc. Returns only to say why not.
pub(super) fn start(args: &Args, bundle: &Bundle) -> Failure {
    let chosen = match oci_runtime::choose(&installed(), &bundle.version) {
        Ok(chosen) => chosen,
        Err(failure) => return failure,
    };
    match chosen {
        Chosen::Crun(crun) => become_shim(args, Some(&crun)),
        Chosen::Runc { why_not_crun } => {
            why_not_crun.inspect(|reason| log::warn!("{reason}: runc runs this container"));
            become_shim(args, None)
        }
    }
}

/// The same for `delete`: with the program that made the container, which the other one could not remove.
pub(super) fn delete(args: &Args, bundle: &Path) -> Failure {
    if let Some(socket) = address::noted(bundle) {
        end_if_idle(&socket, args, bundle);
    }
    let record = Path::new(RECORDS).join(&args.namespace).join(&args.id);
    let Installed { crun, runc } = installed();
    become_shim(args, crun.filter(|_| oci_runtime::is_of_crun(&record) || runc.is_none()).as_deref())
}

/// True for the bundle of a container that the other shim has created.
pub(super) fn was_here(bundle: &Path) -> bool {
    bundle.join(MARK).exists()
}

/// Has the other shim's server at `socket` end, and removes the socket, if this was its last container.
///
/// containerd 2 ends the server of a pod with the container that stands for the pod. That one is ours, so nobody else
/// would end the server of the pod's Linux containers. Nor would the other shim remove its socket: it looks for one by
/// the name of the container, and this one has the pod's.
fn end_if_idle(socket: &Path, args: &Args, bundle: &Path) {
    // Outside a pod, and after a crash, there is nobody to be asked.
    let _ = shut_down(socket, &args.id);
    address::wait_for_end(socket, if is_shared(socket, bundle) { MOMENT } else { END_DEADLINE });
    if let Ok(lock) = Lock::take(socket) {
        address::remove_dead(socket, &lock);
    }
}

/// Whether other containers have the server at `socket`, too. It may end nevertheless: they may have ended.
fn is_shared(socket: &Path, bundle: &Path) -> bool {
    let bundles = bundle.parent().and_then(|bundles| bundles.read_dir().ok());
    let mut others = bundles.into_iter().flatten().flatten().map(|entry| entry.path());
    others.any(|other| other != bundle && address::noted(&other).is_some_and(|noted| noted == socket))
}

fn become_shim(args: &Args, crun: Option<&Path>) -> Failure {
    let beside = Path::new(&args.publish_binary).parent().map(Path::to_owned);
    let Some(shim) = find(SHIM, search_path().chain(beside)) else {
        return format!(
            "this is a linux image and {SHIM} is neither in PATH nor beside containerd: install it"
        );
    };
    let mut command = Command::new(&shim);
    command.args(std::env::args_os().skip(1));
    if let Some(crun) = crun {
        match path_with(crun) {
            Ok(path) => command.env(PATH, path),
            Err(failure) => return failure,
        };
    }
    format!("{}: {}", shim.display(), command.exec())
}

/// A `PATH` in which the shim finds `crun` when it looks for runc.
fn path_with(crun: &Path) -> Result<OsString, Failure> {
    let alias = oci_runtime::alias(crun)?;
    std::env::join_paths([alias].into_iter().chain(search_path())).map_err(|error| error.to_string())
}

fn installed() -> Installed {
    Installed { crun: find("crun", search_path()), runc: find("runc", search_path()) }
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os(PATH).unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// The first of `directories` with a program of that name. A relative one would mean the bundle.
fn find(program: impl AsRef<OsStr>, directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let mut paths = directories.filter(|dir| dir.is_absolute()).map(|dir| dir.join(program.as_ref()));
    paths.find(|path| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}
