//! The board's device tree: what QEMU says of its machine, and what firmware needs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::machine;
use crate::setup::kernel::BuildRoot;
use crate::sh;
use crate::workspace::Workspace;

/// Writes it below `directory`, and gives its path.
///
/// # Errors
/// QEMU or the compiler of device trees fails.
pub(super) fn device_tree(
    workspace: &Workspace,
    root: &BuildRoot,
    qemu: &Path,
    directory: &Path,
) -> Result<PathBuf> {
    let place = root.path.join("board");
    fs::create_dir_all(&place)?;
    let dump = format!("{},dumpdtb={}", machine::MACHINE, place.join("qemu.dtb").display());
    // QEMU tells that it has done it, which nobody needs to know.
    let bare = ["-machine", &dump, "-nodefaults", "-nographic"];
    sh::read(sh::command(qemu).args(bare).args(machine::CORES_AND_MEMORY))?;
    let compile = |arguments: &[&str]| sh::read(root.program("dtc").args(["-q", "-q"]).args(arguments));
    let of_qemu = compile(&["-I", "dtb", "-O", "dts", "/board/qemu.dtb"])?;
    let ours = fs::read_to_string(workspace.root.join("qemu-tests/amp/board.dtsi"))?;
    fs::write(place.join("board.dts"), of_qemu + &ours)?;
    compile(&["-I", "dts", "-O", "dtb", "-o", "/board/board.dtb", "/board/board.dts"])?;
    let tree = directory.join("board.dtb");
    fs::copy(place.join("board.dtb"), &tree)?;
    Ok(tree)
}
