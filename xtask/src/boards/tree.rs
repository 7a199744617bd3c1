//! Device trees, through Debian's `device-tree-compiler`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use firmware::board::{Board, Controller, Region};

use crate::sh;

/// A tree that overlays are applied to.
pub(crate) struct Trees {
    base: PathBuf,
    place: PathBuf,
}

/// A compiled tree with an overlay.
pub(super) struct Tree {
    path: PathBuf,
}

impl Trees {
    /// QEMU's own of its machine `virt`, with the label that the overlays want.
    ///
    /// # Errors
    /// QEMU fails.
    pub(crate) fn of_qemu(board: &Board, qemu: &Path, place: &Path) -> Result<Self> {
        let base = place.join("virt.dtb");
        let machine = format!("virt,gic-version=3,dumpdtb={}", base.display());
        let (cores, memory) = (board.cpus.to_string(), format!("{}M", board.dram[0].len >> 20));
        let arguments = [
            "-machine",
            &machine,
            "-cpu",
            "cortex-a53",
            "-smp",
            &cores,
            "-m",
            &memory,
            "-nodefaults",
            "-display",
            "none",
        ];
        sh::read(sh::command(qemu).args(arguments))?;
        label_last_cpu(board, &base)?;
        Ok(Self { base, place: place.to_owned() })
    }

    /// The board's own, as Linux has it in the file `tree`.
    ///
    /// # Errors
    /// It has other cores than the board.
    pub(super) fn of_linux(board: &Board, tree: &Path, place: &Path) -> Result<Self> {
        let base = place.join("linux.dtb");
        fs::copy(tree, &base).with_context(|| tree.display().to_string())?;
        label_last_cpu(board, &base)?;
        Ok(Self { base, place: place.to_owned() })
    }

    /// One with what the overlays refer to, and with cells and memory as the board has them.
    ///
    /// # Errors
    /// The compiler fails.
    pub(super) fn like(board: &Board, place: &Path) -> Result<Self> {
        let (source, base) = (place.join("base.dts"), place.join("base.dtb"));
        fs::write(&source, text(board))?;
        compile(&source, &base)?;
        Ok(Self { base, place: place.to_owned() })
    }

    /// The same with the overlay of this source.
    ///
    /// # Errors
    /// It is no overlay, or refers to what the tree does not have.
    pub(crate) fn with(&self, overlay: &Path) -> Result<Self> {
        let name = overlay.file_stem().unwrap_or_default();
        let [compiled, base] = ["dtbo", "dtb"].map(|kind| self.place.join(name).with_extension(kind));
        compile(overlay, &compiled)?;
        let mut apply = sh::command("fdtoverlay");
        sh::read(apply.arg("-i").arg(&self.base).arg("-o").arg(&base).arg(&compiled))
            .context("fdtoverlay")?;
        Ok(Self { base, place: self.place.clone() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.base.clone()
    }

    /// What it says.
    pub(super) fn tree(&self) -> Tree {
        Tree { path: self.path() }
    }
}

/// Has the tree know its last core by the label that overlays use. Trees that are compiled without labels, as QEMU's is, do
/// not by themselves.
fn label_last_cpu(board: &Board, path: &Path) -> Result<()> {
    const SYMBOLS: &str = "/__symbols__";
    let tree = Tree { path: path.to_owned() };
    let cpu = tree.last_cpu();
    let cpus = tree.cpus().len();
    let cpu = cpu.filter(|_| cpus == board.cpus as usize);
    let cpu = cpu.with_context(|| format!("the tree has {cpus} cores, the board {}", board.cpus))?;
    let label = format!("cpu{}", board.default_cpu());
    if tree.text(SYMBOLS, &label).is_none() {
        sh::read(sh::command("fdtput").args(["-p", "-t", "s"]).arg(path).args([SYMBOLS, &label, &cpu]))?;
    }
    Ok(())
}

fn compile(source: &Path, compiled: &Path) -> Result<()> {
    // Quiet: an overlay cannot know the cells of the tree that it will be in, which the compiler warns of.
    let arguments = ["-q", "-@", "-I", "dts", "-O", "dtb", "-o"];
    sh::read(sh::command("dtc").args(arguments).arg(compiled).arg(source)).map(drop)
}

fn text(board: &Board) -> String {
    let (address, size) = (board.device_tree.address_cells, board.device_tree.size_cells);
    let cells = |cells: u32, value: u64| match cells {
        1 => format!("{value:#x}"),
        _ => format!("{:#x} {:#x}", value >> 32, value & 0xffff_ffff),
    };
    let memory: String = board
        .dram
        .iter()
        .map(|dram| format!(" {} {}", cells(address, dram.base), cells(size, dram.len)))
        .collect();
    let cpu = |cpu| format!("\t\tcpu{cpu}: cpu@{cpu} {{ device_type = \"cpu\"; reg = <{cpu}>; }};\n");
    let cpus: String = (0..board.cpus).map(cpu).collect();
    let controller = match board.interrupts.controller {
        Controller::GicV2 => "arm,gic-400",
        Controller::GicV3 => "arm,gic-v3",
    };
    format!(
        "/dts-v1/;\n/ {{\n\t#address-cells = <{address}>;\n\t#size-cells = <{size}>;\n\tinterrupt-parent = <&gic>;\n\
         \tmemory {{ device_type = \"memory\"; reg = <{memory}>; }};\n\
         \tgic: interrupt-controller {{ compatible = \"{controller}\"; #interrupt-cells = <3>; interrupt-controller; }};\n\
         \tcpus {{\n\t\t#address-cells = <1>;\n\t\t#size-cells = <0>;\n{cpus}\t}};\n}};\n"
    )
}

impl Tree {
    /// The 32-bit words of a property; `None` if the node does not have it.
    pub(super) fn words(&self, node: &str, property: &str) -> Option<Vec<u32>> {
        let read =
            sh::read(sh::command("fdtget").args(["-t", "x"]).arg(&self.path).args([node, property])).ok()?;
        read.split_whitespace().map(|word| u32::from_str_radix(word, 16).ok()).collect()
    }

    /// The one word of a property.
    pub(super) fn word(&self, node: &str, property: &str) -> Option<u32> {
        self.words(node, property)?.first().copied()
    }

    /// The first text of a property.
    pub(super) fn text(&self, node: &str, property: &str) -> Option<String> {
        let read =
            sh::read(sh::command("fdtget").args(["-t", "s"]).arg(&self.path).args([node, property])).ok()?;
        Some(read.split_whitespace().next()?.to_owned())
    }

    /// True if the node has the property.
    pub(super) fn has(&self, node: &str, property: &str) -> bool {
        let properties = sh::read(sh::command("fdtget").arg("-p").arg(&self.path).arg(node));
        properties.is_ok_and(|list| list.lines().any(|found| found == property))
    }

    /// Paths of the nodes below a node.
    pub(super) fn below(&self, node: &str) -> Vec<String> {
        let nodes = sh::read(sh::command("fdtget").arg("-l").arg(&self.path).arg(node)).unwrap_or_default();
        nodes.lines().map(|name| format!("{}/{name}", node.trim_end_matches('/'))).collect()
    }

    /// Paths of the cores' nodes, in the order of their numbers in Linux. What the unit addresses count is the board's own
    /// affair.
    pub(super) fn cpus(&self) -> Vec<String> {
        let mut cpus = self.below("/cpus");
        cpus.retain(|path| path.starts_with("/cpus/cpu@"));
        cpus.sort_by_key(|path| self.words(path, "reg"));
        cpus
    }

    /// Path of the last core's node.
    pub(super) fn last_cpu(&self) -> Option<String> {
        self.cpus().pop()
    }

    /// Cells of addresses and sizes below a node.
    pub(super) fn cells(&self, node: &str) -> (u32, u32) {
        let cells = |property, default| self.word(node, property).unwrap_or(default);
        (cells("#address-cells", 2), cells("#size-cells", 1))
    }

    /// The one region of a node.
    ///
    /// # Errors
    /// It has none, or several.
    pub(super) fn region(&self, node: &str, (address, size): (u32, u32)) -> Result<Region> {
        let words = self.words(node, "reg").with_context(|| format!("{node} has no reg"))?;
        if words.len() as u32 != address + size {
            bail!("{node}: reg is not one region of {address} address cells and {size} size cells");
        }
        let number = |words: &[u32]| words.iter().fold(0, |high, low| high << 32 | u64::from(*low));
        let (base, len) = words.split_at(address as usize);
        Ok(Region { base: number(base), len: number(len) })
    }
}
