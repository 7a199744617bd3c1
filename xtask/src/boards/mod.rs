//! Checks every board file against the device tree overlays that give memory and a core away on that board.

mod overlay;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use firmware::board::{Board, Machine};

use crate::no_arguments;
use crate::setup;
use crate::setup::guest::Guest;
use crate::workspace::Workspace;
use overlay::Kind;
pub(crate) use tree::Trees;

/// Where board files are.
pub(crate) const BOARDS: &str = "board-configs";
/// Where their overlays are.
pub(crate) const OVERLAYS: &str = "meta-micrun/recipes-kernel/micrun-overlays/files";

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    check(&workspace, &setup::for_demo(&workspace)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks all of them; `qemu` says what its machine is, Debian's kernel what boards that it knows are.
///
/// # Errors
/// Something does not go together: all of it, one line each.
pub(crate) fn check(workspace: &Workspace, qemu: &Path) -> Result<()> {
    let linux = Guest::of_oldest(&workspace.tools())?.device_trees();
    let place = tempfile::tempdir()?;
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    for path in files(&workspace.root.join(BOARDS), "toml")? {
        match Board::read(&path) {
            Ok(board) => {
                let trees = trees(&board, qemu, &linux, place.path()).context(path.display().to_string())?;
                wrong.extend(check_board(&board, &trees, &workspace.root.join(OVERLAYS), &mut used)?);
                println!("{}: {}", board.name, board.title);
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    let unused =
        files(&workspace.root.join(OVERLAYS), "dtso")?.into_iter().filter(|path| !used.contains(path));
    wrong.extend(unused.map(|path| format!("{}: no board file names it", path.display())));
    if !wrong.is_empty() {
        bail!("boards and overlays disagree:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// The tree that the board's overlays must suit: QEMU's own of its machine, or Linux's of the board below the directory
/// `linux`. Of a board that neither has, one that is made like it.
fn trees(board: &Board, qemu: &Path, linux: &Path, place: &Path) -> Result<Trees> {
    match &board.device_tree.base {
        _ if board.machine == Some(Machine::Virt) => Trees::of_qemu(board, qemu, place),
        Some(base) => Trees::of_linux(board, &linux.join(base), place),
        None => Trees::like(board, place),
    }
}

fn check_board(board: &Board, trees: &Trees, sources: &Path, used: &mut Vec<PathBuf>) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let named = [(Kind::Mcs, &board.device_tree.mcs), (Kind::Remoteproc, &board.device_tree.remoteproc)];
    for (kind, name) in named {
        let wanted = board.pedestals.contains(&kind.pedestal());
        match name {
            Some(name) => {
                let path = sources.join(name);
                let merged = trees.with(&path).map(|trees| trees.tree());
                wrong.extend(merged.map_or_else(
                    |error| vec![format!("{name}: {error:#}")],
                    |merged| {
                        kind.check(board, &merged).into_iter().map(|line| format!("{name}: {line}")).collect()
                    },
                ));
                used.push(path);
            }
            None if wanted => wrong.push(format!("{}: device-tree has no overlay for {kind:?}", board.name)),
            None => {}
        }
    }
    Ok(wrong)
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with an overlay of a board when `from` in it is `to`.
    fn wrong(board: &str, overlay: &str, from: &str, to: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&root.join(BOARDS).join(format!("{board}.toml"))).expect("a board");
        let place = tempfile::tempdir().expect("a directory");
        let trees = Trees::like(&board, place.path()).expect("a tree");
        let sources = place.path().join("sources");
        fs::create_dir(&sources).expect("made");
        for path in files(&root.join(OVERLAYS), "dtso").expect("overlays") {
            let (text, name) = (fs::read_to_string(&path).expect("text"), path.file_name().expect("a name"));
            let changed = if name == overlay { text.replace(from, to) } else { text.clone() };
            assert!(name != overlay || from == to || changed != text, "{from}");
            fs::write(sources.join(name), changed).expect("written");
        }
        check_board(&board, &trees, &sources, &mut Vec::new()).expect("checked")
    }

    #[test]
    fn the_projects_overlays_suit_their_boards() {
        for board in ["rpi4", "hieulerpi", "ok3568", "qemu-arm64"] {
            assert_eq!(wrong(board, "", "", ""), [""; 0]);
        }
    }

    #[test]
    fn an_overlay_that_says_otherwise_is_found() {
        let of_mcs = |from, to| wrong("rpi4", "rpi4-mcs.dtso", from, to);
        let one = |lines: Vec<String>| lines.join("\n");
        assert_eq!(
            one(of_mcs("reg = <0x0 0x7a000000 0x4000000>", "reg = <0x0 0x7b000000 0x1000000>")),
            "rpi4-mcs.dtso: memory region 2 is 0x7b000000..0x7c000000, the board's rtos memory is 0x7a000000..0x7e000000"
        );
        assert_eq!(
            one(of_mcs("<&rtos_shared>, <&rtos_memory>", "<&rtos_memory>, <&rtos_shared>")),
            "rpi4-mcs.dtso: /mcs-remoteproc: the first region is no shared-dma-pool"
        );
        assert_eq!(
            one(of_mcs("#size-cells = <1>", "#size-cells = <2>")).lines().next().unwrap_or_default(),
            "rpi4-mcs.dtso: reserved-memory has 2 address cells and 2 size cells, the root of the tree 2 and 1: \
             linux ignores it"
        );
        let of_remoteproc = |from, to| one(wrong("ok3568", "ok3568-remoteproc.dtso", from, to));
        assert_eq!(
            of_remoteproc("cpu = <&cpu3>", "cpu = <&cpu2>"),
            "ok3568-remoteproc.dtso: cpu is not the board's last, 3"
        );
        assert_eq!(
            of_remoteproc("doorbell-sgi = <7>", "doorbell-sgi = <6>"),
            "ok3568-remoteproc.dtso: micrun,doorbell-sgi is 6, the board's is 7"
        );
        assert!(of_remoteproc("no-map", "no-mop").contains("without no-map"));
        assert!(of_remoteproc("cpu3", "cpu9").contains("fdtoverlay"));
    }
}
