//! Puts the board files of `board-configs/` into the library, without comments and blank lines.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board-configs");
    println!("cargo:rerun-if-changed={}", directory.display());
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a directory entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut code = format!("pub(super) static FILES: [(&str, &str); {}] = [\n", paths.len());
    for path in paths {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        writeln!(code, "    ({name:?}, {:?}),", compact(&text)).expect("a string takes all");
    }
    code += "];\n";
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("boards.rs"), code).expect("OUT_DIR is for writing");
}

/// Board files have no texts over several lines, so a line that begins with `#` is a comment.
fn compact(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    kept.map(|line| format!("{line}\n")).collect()
}
