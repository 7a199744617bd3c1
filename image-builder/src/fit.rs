//! Whether the memory that a resource table asks for is the board's to give. Segments are the shim's business too, and
//! [`Board::fits`] judges them; a table at odds with the board shows only when the firmware runs, so it is refused here.

use firmware::board::{Board, Region};
use openamp::resource_table::{self, ADDR_ANY, Entry, Label};

/// Memory of a resource table that is none for firmware on the board.
#[derive(Debug, thiserror::Error)]
#[error(
    "resource table: {what} \"{name}\" ({region}) lies outside the memory of board {board} that firmware may use, {allowed}"
)]
pub struct Misfit {
    what: &'static str,
    name: String,
    region: Region,
    board: String,
    allowed: String,
}

/// Proves that every carveout and log buffer at an address of the firmware's own choice lies in the board's RTOS memory, or
/// in what it shares with Linux. `table` is that of firmware that was found valid. Registers of devices (devmem) are no
/// memory of a board file.
///
/// # Errors
/// One does not.
pub fn fits(board: &Board, table: &[u8]) -> Result<(), Misfit> {
    let shared = board.owners().filter(|(owner, _)| ["communication", "bulk"].contains(owner));
    let allowed: Vec<(&str, Region)> = [("rtos", board.ram)].into_iter().chain(shared).collect();
    for (_, entry) in resource_table::entries(table).into_iter().flatten().flatten() {
        let (what, da, len, name) = match entry {
            Entry::Carveout(carveout) => ("carveout", carveout.da, carveout.len, carveout.name),
            Entry::Trace(trace) => ("trace buffer", trace.da, trace.len, trace.name),
            _ => continue,
        };
        let region = Region { base: da.into(), len: len.into() };
        if da != ADDR_ANY && !allowed.iter().any(|(_, memory)| memory.contains(region)) {
            return Err(misfit(board, &allowed, what, &name, region));
        }
    }
    Ok(())
}

fn misfit(
    board: &Board,
    allowed: &[(&str, Region)],
    what: &'static str,
    name: &Label,
    region: Region,
) -> Misfit {
    let allowed: Vec<String> = allowed.iter().map(|(owner, memory)| format!("{owner} ({memory})")).collect();
    let name = name.as_bytes().escape_ascii().to_string();
    Misfit { what, name, region, board: board.name.clone(), allowed: allowed.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with one entry: kind, address, bytes and the words between these and the name.
    fn judged(kind: u32, da: u32, words: &[u32]) -> Result<(), String> {
        let head = [1, 1, 0, 0, 0x14, kind, da];
        let mut table: Vec<u8> = head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect();
        table.extend(b"log");
        table.resize(table.len() + 29, 0);
        let board = Board::by_name("qemu-arm64").expect("built in");
        fits(&board, &table).map_err(|error| error.to_string())
    }

    fn carveout(da: u32, len: u32) -> Result<(), String> {
        judged(0, da, &[u32::MAX, len, 0, 0])
    }

    #[test]
    fn memory_of_the_board_may_be_asked_for() {
        for (da, len) in [(0x7a00_0000, 0x400_0000), (0x7000_0000, 0x10_0000), (0x70d0_0000, 0x1000)] {
            assert_eq!(carveout(da, len), Ok(()));
        }
        assert_eq!(carveout(ADDR_ANY, 0x1000), Ok(()));
        assert_eq!(judged(2, 0x7a00_1000, &[0x1000, 0]), Ok(()));
    }

    #[test]
    fn other_memory_may_not() {
        let allowed = "that firmware may use, rtos (0x7a000000..0x7e000000), communication \
                       (0x70000000..0x70100000), bulk (0x70d00000..0x71300000)";
        let said = |what: &str, region: &str| {
            Err(format!(
                "resource table: {what} \"log\" ({region}) lies outside the memory of board qemu-arm64 {allowed}"
            ))
        };
        assert_eq!(carveout(0x7dff_f000, 0x2000), said("carveout", "0x7dfff000..0x7e001000"));
        assert_eq!(carveout(0x4000_0000, 0x1000), said("carveout", "0x40000000..0x40001000"));
        assert_eq!(judged(2, 0xffff_f000, &[0x1000, 0]), said("trace buffer", "0xfffff000..0x100000000"));
    }

    #[test]
    fn registers_are_no_memory() {
        assert_eq!(judged(1, 0x0900_0000, &[0x0900_0000, 0x1000, 0, 0]), Ok(()));
    }
}
