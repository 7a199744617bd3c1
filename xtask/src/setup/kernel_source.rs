//! The parts of Debian's kernel source that its kernels lack: drivers for RPMsg, and the script that checks style.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::BuildRoot;
use super::private::{PrivateApt, STABLE, remove_if_there};
use crate::sh;

/// Depends on the source of a suite's kernel.
const SOURCE: &str = "linux-source";
/// What is taken of it.
const PARTS: [&str; 5] = [
    "drivers/rpmsg",
    "drivers/tty/rpmsg_tty.c",
    "scripts/checkpatch.pl",
    "scripts/const_structs.checkpatch",
    "scripts/spelling.txt",
];

/// Directory, as programs in `root` see it, of the [`PARTS`] of Debian 12's kernel source. They are unpacked if they
/// are not there.
///
/// # Errors
/// The package is not to be had, or can't be unpacked.
pub(crate) fn parts(tools: &Path, root: &BuildRoot) -> Result<&'static str> {
    const PLACE: &str = "/source";
    let place = root.path.join(PLACE.trim_start_matches('/'));
    let complete = place.join("complete");
    if !complete.is_file() {
        println!("unpacking parts of the kernel's source");
        remove_if_there(&place)?;
        unpack(tools, root, &place, PLACE)?;
        fs::write(complete, "")?;
    }
    Ok(PLACE)
}

fn unpack(tools: &Path, root: &BuildRoot, place: &Path, inside: &str) -> Result<()> {
    let apt = PrivateApt::open(tools, &[STABLE])?;
    let package = apt.dependencies(SOURCE)?.into_iter().next().context("linux-source depends on nothing")?;
    apt.unpack_alone(&[&package], STABLE, place)?;
    let archive = archive(&place.join("usr/src"))?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let top = name.trim_end_matches(".tar.xz");
    let mut tar = root.program("tar");
    tar.args(["--extract", "--no-same-owner", "--strip-components=1", "--directory", inside]);
    tar.arg(format!("--file={inside}/usr/src/{name}")).args(PARTS.map(|part| format!("{top}/{part}")));
    sh::run(&mut tar)?;
    // Nine tenths of it all.
    Ok(fs::remove_dir_all(place.join("usr"))?)
}

fn archive(directory: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
    paths.find(|path| path.to_string_lossy().ends_with(".tar.xz")).context("linux-source has no archive")
}
