//! What can be wrong with a board, or between a board and firmware.

use std::path::PathBuf;

use super::Region;
use crate::file::FileError;
use crate::toml_file::LineError;

/// Why firmware does not suit a board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No such board.
    #[error("board {name:?} is unknown, known are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A board file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// A board file is wrong.
    #[error("{}: {source}", path.display())]
    Line {
        /// The file, or the name of a built-in board.
        path: PathBuf,
        /// What is wrong.
        source: LineError,
    },
    /// A board file has another name than the board in it.
    #[error("{}: name is {name:?}, it must be that of the file", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The board.
        name: String,
    },
    /// This machine is none of the boards that are known.
    #[error(
        "no board file has one of this machine's names: {names}; name a board, or add a file to /etc/micrun/boards"
    )]
    NotDetected {
        /// What its device tree says.
        names: String,
    },
    /// Linux's core, or one that the board does not have.
    #[error("cpu {cpu} is not for firmware on board {board}, which runs it on cpu 1 to {last}")]
    Cpu {
        /// The board.
        board: String,
        /// The core asked for.
        cpu: u32,
        /// The last core.
        last: u32,
    },
    /// A segment would overwrite somebody else's memory.
    #[error("segment {index} ({segment}) overlaps the {owner} memory ({region}) of board {board}")]
    Reserved {
        /// Index of the program header.
        index: usize,
        /// Where the segment is loaded.
        segment: Region,
        /// Whose memory it is.
        owner: String,
        /// That memory.
        region: Region,
        /// The board.
        board: String,
    },
    /// A segment is loaded where the RTOS has no memory.
    #[error("segment {index} ({segment}) lies outside the rtos memory ({ram}) of board {board}")]
    Outside {
        /// Index of the program header.
        index: usize,
        /// Where the segment is loaded.
        segment: Region,
        /// Memory of the RTOS.
        ram: Region,
        /// The board.
        board: String,
    },
}
