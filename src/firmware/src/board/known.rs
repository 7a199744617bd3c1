//! Which boards there are: those built in, those that the machine's administrator adds, and the one this machine is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Board, BoardError};
use crate::file;

include!(concat!(env!("OUT_DIR"), "/boards.rs"));

/// Where an administrator adds boards, or replaces those built in, below the root of the file system: `NAME.toml`.
pub const DIRECTORY: &str = "etc/micrun/boards";
/// What a running board says of itself, below the root: names of the board and of what it is like, zero-terminated.
const COMPATIBLE: &str = "proc/device-tree/compatible";
/// Most bytes of [`COMPATIBLE`].
const COMPATIBLE_LIMIT: usize = 4 << 10;
/// Most bytes of a board file.
const FILE_LIMIT: u64 = 16 << 10;

impl Board {
    /// The built-in board of that name.
    pub fn by_name(name: &str) -> Result<Board, BoardError> {
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => parsed(Path::new(name), text),
            None => Err(unknown(name, names())),
        }
    }

    /// The board of that name on the machine whose file system begins at `root`: one that its administrator added, or a
    /// built-in one. `name` may come from anywhere: it is not taken for a path.
    pub fn installed(root: &Path, name: &str) -> Result<Board, BoardError> {
        let path = added(root).into_iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        path.map_or_else(|| Board::by_name(name), |path| Board::read(&path))
    }

    /// Reads a board file.
    pub fn read(path: &Path) -> Result<Board, BoardError> {
        let failed = |source| BoardError::File { path: path.to_owned(), source };
        let opened = File::open(path).map_err(|error| failed(error.into()))?;
        let bytes = file::read(&opened, FILE_LIMIT).map_err(failed)?;
        let board = parsed(path, &String::from_utf8_lossy(&bytes))?;
        if path.file_stem().is_none_or(|stem| stem != board.name.as_str()) {
            return Err(BoardError::Name { path: path.to_owned(), name: board.name });
        }
        Ok(board)
    }

    /// The board that the machine is whose file system begins at `root`, by the most special of the names it has.
    ///
    /// # Errors
    /// A board file that the administrator added is broken, or no board has any of the names.
    pub fn detect(root: &Path) -> Result<Board, BoardError> {
        let names = compatible(root);
        let mut boards = added(root).iter().map(|path| Board::read(path)).collect::<Result<Vec<_>, _>>()?;
        for (name, text) in &FILES {
            if boards.iter().all(|board| board.name != *name) {
                boards.push(parsed(Path::new(name), text)?);
            }
        }
        let is_called = |name: &String| boards.iter().position(|board| board.compatible.contains(name));
        match names.iter().find_map(is_called) {
            Some(index) => Ok(boards.swap_remove(index)),
            None => Err(BoardError::NotDetected { names: names.join(", ") }),
        }
    }
}

/// Names of the built-in boards.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// A name that a person, an image or a file gave is none of a board's.
pub(super) fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> BoardError {
    let known = known.collect::<Vec<_>>().join(", ");
    BoardError::Unknown { name: crate::text::excerpt(name), known }
}

fn parsed(path: &Path, text: &str) -> Result<Board, BoardError> {
    Board::parse(text).map_err(|source| BoardError::Line { path: path.to_owned(), source })
}

/// The files that the administrator added, in the order of their names.
fn added(root: &Path) -> Vec<PathBuf> {
    let mut paths = file::listed(&root.join(DIRECTORY)).unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths
}

/// The names of the machine, the most special one first. One without a device tree has the name of its architecture.
fn compatible(root: &Path) -> Vec<String> {
    let Ok(bytes) = fs::read(root.join(COMPATIBLE)) else {
        return vec![std::env::consts::ARCH.to_owned()];
    };
    let names = bytes.get(..COMPATIBLE_LIMIT).unwrap_or(&bytes).split(|byte| *byte == 0);
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    names.filter(|name| !name.is_empty()).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(compatible: &[u8]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(root.path().join(DIRECTORY)).expect("made");
        fs::create_dir_all(root.path().join("proc/device-tree")).expect("made");
        fs::write(root.path().join(COMPATIBLE), compatible).expect("written");
        root
    }

    fn add(root: &Path, name: &str, text: &str) {
        fs::write(root.join(DIRECTORY).join(format!("{name}.toml")), text).expect("written");
    }

    fn source(name: &str) -> &'static str {
        FILES.iter().find(|(known, _)| *known == name).expect("built in").1
    }

    #[test]
    fn boards_are_found_by_name() {
        for name in names() {
            assert_eq!(Board::by_name(name).expect("valid").name, name);
        }
        let error = Board::by_name("rpi5").expect_err("an unknown board").to_string();
        let known = "hieulerpi, ok3568, qemu-arm64, qemu-raspi4b, rpi4, sim-x86-64";
        assert_eq!(error, format!("board \"rpi5\" is unknown, known are: {known}"));
    }

    #[test]
    fn a_running_board_is_recognised_by_its_most_special_name() {
        let detected = |names: &[u8]| {
            Board::detect(root(names).path()).map(|board| board.name).map_err(|error| error.to_string())
        };
        assert_eq!(detected(b"raspberrypi,4-model-b\0brcm,bcm2711\0"), Ok("rpi4".to_owned()));
        assert_eq!(detected(b"linux,dummy-virt\0"), Ok("qemu-arm64".to_owned()));
        assert_eq!(detected(b"acme,x\0rockchip,rk3568\0linux,dummy-virt"), Ok("ok3568".to_owned()));
        let error = detected(b"acme,pump\0acme,soc\0").expect_err("unknown");
        assert!(
            error.starts_with("no board file has one of this machine's names: acme,pump, acme,soc"),
            "{error}"
        );
        let nothing = tempfile::tempdir().expect("a directory");
        let board = Board::detect(nothing.path()).map(|board| board.name).ok();
        assert_eq!(board.as_deref(), (std::env::consts::ARCH == "x86_64").then_some("sim-x86-64"));
    }

    #[test]
    fn an_added_board_wins_over_the_built_in_one() {
        let root = root(b"acme,pump\0");
        let pump =
            source("rpi4").replace("rpi4\"\n", "pump\"\n").replace("raspberrypi,4-model-b", "acme,pump");
        add(root.path(), "pump", &pump.replace("qemu-pump", "qemu-rpi4"));
        assert_eq!(Board::detect(root.path()).expect("added").name, "pump");
        assert_eq!(Board::installed(root.path(), "pump").expect("added").name, "pump");
        add(root.path(), "rpi4", &source("rpi4").replace("cpus = 4", "cpus = 2"));
        assert_eq!(Board::installed(root.path(), "rpi4").expect("replaced").cpus, 2);
        assert_eq!(Board::installed(root.path(), "hieulerpi").expect("built in").cpus, 4);
        add(root.path(), "other", source("rpi4"));
        let error = Board::installed(root.path(), "other").expect_err("another name").to_string();
        assert!(error.ends_with("other.toml: name is \"rpi4\", it must be that of the file"), "{error}");
        add(root.path(), "broken", "nme = 1\n");
        let error = Board::detect(root.path()).expect_err("broken").to_string();
        assert!(error.ends_with("broken.toml: line 1: key \"nme\" is unknown, did you mean name"), "{error}");
    }

    #[test]
    fn a_name_is_not_a_path() {
        let root = root(b"");
        fs::write(root.path().join("etc/x.toml"), source("rpi4")).expect("written");
        for name in ["../../x", "/etc/x", "", ".", "x\n"] {
            let error = Board::installed(root.path(), name).expect_err(name);
            assert!(matches!(error, BoardError::Unknown { .. }), "{name:?}: {error}");
        }
    }
}
