//! The OpenAMP C library on the other side.
//!
//! Nothing of it is in this repository. Whoever wants it builds open-amp and libmetal as static libraries and names the
//! directory that they were installed to, with `include` and `lib` in it, in `MICRUN_OPENAMP`. `c/peer.c` is compiled
//! against it with `cc`. libmetal needs libsysfs; it is to be built without libhugetlbfs:
//!
//! ```text
//! cmake -S libmetal -B metal -DCMAKE_INSTALL_PREFIX=$DIR -DWITH_SHARED_LIB=OFF -DWITH_TESTS=OFF -DWITH_DOC=OFF \
//!       -DCMAKE_DISABLE_FIND_PACKAGE_HugeTLBFS=ON -DCMAKE_BUILD_TYPE=Release
//! cmake --build metal --target install
//! cmake -S open-amp -B amp -DCMAKE_INSTALL_PREFIX=$DIR -DCMAKE_PREFIX_PATH=$DIR -DWITH_SHARED_LIB=OFF \
//!       -DWITH_PROXY=OFF -DCMAKE_BUILD_TYPE=Release
//! cmake --build amp --target install
//! ```

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Names the directory that the library is installed to.
pub const VARIABLE: &str = "MICRUN_OPENAMP";

/// Where the library is, if it is anywhere.
pub fn directory() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Compiles the peer against the library in `library` to a program in `directory`, optimised, and gives its path.
pub fn compile_peer(library: &Path, directory: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/peer.c");
    let program = directory.join("openamp-peer");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror"]);
    // The library's headers are not the peer's to mend.
    cc.arg("-isystem").arg(library.join("include")).arg("-o").arg(&program).arg(source);
    cc.arg("-L").arg(library.join("lib")).args(["-lopen_amp", "-lmetal", "-lsysfs", "-lpthread"]);
    let output = cc.output().context("cannot start cc")?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}
