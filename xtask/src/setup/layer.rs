//! What checks the Yocto layer without a build: Python programs in an environment of their own, and shellcheck.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::apt;
use super::private::{PrivateApt, STABLE, remove_if_there};
use crate::sh;

/// What is installed from Python's package index, in which versions.
const PYTHON_PACKAGES: [&str; 3] = ["oelint-adv==9.11.2", "kas==5.5", "oebuild==0.2.1.3"];

/// The programs.
pub(crate) struct LayerTools {
    /// Checks recipes against the style of OpenEmbedded.
    pub(crate) oelint: PathBuf,
    /// A Python that has kas's schema and oebuild's resolver of features.
    pub(crate) python: PathBuf,
    /// Checks shell scripts.
    pub(crate) shellcheck: PathBuf,
}

/// The programs below `tools`, which are fetched if they are not there.
///
/// # Errors
/// A package is not to be had, or does not run here.
pub(crate) fn for_layer(tools: &Path) -> Result<LayerTools> {
    let python = python(tools)?;
    Ok(LayerTools { oelint: python.with_file_name("oelint-adv"), python, shellcheck: shellcheck(tools)? })
}

/// The Python of an environment with [`PYTHON_PACKAGES`].
fn python(tools: &Path) -> Result<PathBuf> {
    let environment = tools.join("python");
    let (python, list) = (environment.join("bin/python"), environment.join("packages"));
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&list).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    println!("making an environment for {}", PYTHON_PACKAGES.join(", "));
    remove_if_there(&environment)?;
    if !sh::works("python3", &["-c", "import ensurepip"]) {
        apt::install(&["python3-venv"])?;
    }
    sh::run(sh::command("python3").args(["-m", "venv"]).arg(&environment))?;
    sh::run(sh::command(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))?;
    fs::write(list, wanted)?;
    Ok(python)
}

/// The machine's shellcheck, or a private copy.
fn shellcheck(tools: &Path) -> Result<PathBuf> {
    if let Ok(program) = sh::find("shellcheck") {
        return Ok(program);
    }
    let root = tools.join("shellcheck");
    let program = root.join("usr/bin/shellcheck");
    if !sh::works(&program, &["--version"]) {
        println!("unpacking a private copy of shellcheck");
        remove_if_there(&root)?;
        PrivateApt::open(tools, &[STABLE])?.unpack(&["shellcheck"], STABLE, &root)?;
    }
    Ok(program)
}
