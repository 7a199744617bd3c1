//! What an overlay must say of its board.

use firmware::board::{Board, Pedestal, Region};

use super::tree::Tree;

const RESERVED: &str = "/reserved-memory";

/// For which driver an overlay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// openEuler's `mcs_km`.
    Mcs,
    /// `psci_rproc`.
    Remoteproc,
}

impl Kind {
    pub(super) fn pedestal(self) -> Pedestal {
        match self {
            Kind::Mcs => Pedestal::Mcs,
            Kind::Remoteproc => Pedestal::Remoteproc,
        }
    }

    /// All that is wrong with the overlay in this tree, one line each.
    pub(super) fn check(self, board: &Board, tree: &Tree) -> Vec<String> {
        if let Some(wrong) = wrong_cells(tree) {
            return vec![wrong];
        }
        let node = match self {
            Kind::Mcs => "/mcs-remoteproc".to_owned(),
            Kind::Remoteproc => format!("/remoteproc-cpu{}", board.default_cpu()),
        };
        let regions = match regions(tree, &node) {
            Ok(regions) => regions,
            Err(error) => return vec![error],
        };
        let mut wrong = self.check_regions(board, &regions);
        wrong.extend(check_reserved(board, tree));
        if self == Kind::Remoteproc {
            wrong.extend(check_core(board, tree, &node));
        }
        wrong
    }

    fn check_regions(self, board: &Board, regions: &[Region]) -> Vec<String> {
        let shared = ("communication", board.communication);
        let mut wanted = vec![shared, ("rtos", board.ram)];
        if self == Kind::Remoteproc {
            wanted.extend(board.bulk.map(|bulk| ("bulk", bulk)));
        }
        let mut wrong = Vec::new();
        if regions.len() != wanted.len() {
            wrong.push(format!(
                "memory-region names {} regions, it must name {}",
                regions.len(),
                wanted.len()
            ));
        }
        for (index, (region, (what, memory))) in regions.iter().zip(wanted).enumerate() {
            // mcs_km computes the windows for bulk transfer from its first region, which must reach so far.
            let reaches = |bulk: Option<Region>| bulk.is_none_or(|bulk| region.contains(bulk));
            let fits = match (self, index) {
                (Kind::Mcs, 0) => {
                    region.base == memory.base && region.contains(memory) && reaches(board.bulk)
                }
                _ => *region == memory,
            };
            if !fits {
                wrong.push(format!(
                    "memory region {} is {region}, the board's {what} memory is {memory}",
                    index + 1
                ));
            }
        }
        wrong
    }
}

/// Linux takes reserved memory only if its cells are those of the root.
fn wrong_cells(tree: &Tree) -> Option<String> {
    let (ours, root) = (tree.cells(RESERVED), tree.cells("/"));
    (ours != root).then(|| format!(
        "reserved-memory has {} address cells and {} size cells, the root of the tree {} and {}: linux ignores it",
        ours.0, ours.1, root.0, root.1
    ))
}

/// What `memory-region` of a node names, in order.
fn regions(tree: &Tree, node: &str) -> Result<Vec<Region>, String> {
    let handles = tree.words(node, "memory-region").ok_or_else(|| format!("{node} has no memory-region"))?;
    let reserved = tree.below(RESERVED);
    let region = |handle: u32| {
        let named = reserved.iter().find(|node| tree.word(node, "phandle") == Some(handle));
        let named = named.ok_or_else(|| format!("{node}: memory-region names no reserved memory"))?;
        tree.region(named, tree.cells(RESERVED)).map_err(|error| format!("{error:#}"))
    };
    let regions = handles.iter().map(|handle| region(*handle)).collect::<Result<Vec<_>, _>>()?;
    let first = reserved.iter().find(|node| tree.word(node, "phandle") == handles.first().copied());
    match first.and_then(|first| tree.text(first, "compatible")).as_deref() {
        Some("shared-dma-pool") => Ok(regions),
        _ => Err(format!("{node}: the first region is no shared-dma-pool")),
    }
}

/// Everything reserved, the board's own too: inside its memory, apart, and kept from Linux.
fn check_reserved(board: &Board, tree: &Tree) -> Vec<String> {
    let cells = tree.cells(RESERVED);
    let mut known: Vec<(String, Region)> = Vec::new();
    let mut wrong = Vec::new();
    for node in tree.below(RESERVED) {
        // Pools of Linux's own have a size only.
        let Ok(region) = tree.region(&node, cells) else { continue };
        if !tree.has(&node, "no-map") {
            wrong.push(format!("{node} is without no-map"));
        }
        if !region.base.is_multiple_of(0x1000) || !region.len.is_multiple_of(0x1000) {
            wrong.push(format!("{node} ({region}) does not begin and end with a page"));
        }
        if !board.dram.iter().any(|dram| dram.contains(region)) {
            wrong.push(format!("{node} ({region}) lies outside the board's memory"));
        }
        if let Some((other, place)) = known.iter().find(|(_, place)| place.overlaps(region)) {
            wrong.push(format!("{node} ({region}) overlaps {other} ({place})"));
        }
        known.push((node, region));
    }
    wrong
}

fn check_core(board: &Board, tree: &Tree, node: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let last = board.default_cpu();
    let handle = tree.last_cpu().and_then(|cpu| tree.word(&cpu, "phandle"));
    if handle.is_none() || tree.word(node, "cpu") != handle {
        wrong.push(format!("cpu is not the board's last, {last}"));
    }
    let interrupts = board.interrupts;
    let sgis = [("micrun,doorbell-sgi", interrupts.doorbell_sgi), ("micrun,kick-sgi", interrupts.kick_sgi)];
    for (property, right) in sgis {
        match tree.word(node, property) {
            Some(found) if found != right => {
                wrong.push(format!("{property} is {found}, the board's is {right}"));
            }
            _ => {}
        }
    }
    // GIC_SPI, number, flags.
    match tree.words(node, "interrupts").as_deref() {
        Some([0, spi, _]) if Some(*spi) == interrupts.doorbell_spi => {}
        None => {}
        Some(other) => wrong
            .push(format!("interrupts is {other:x?}, the board's doorbell is {:?}", interrupts.doorbell_spi)),
    }
    wrong
}
