//! What the programs read that call bitbake for a person: kas and openEuler's oebuild.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::LAYER;
use crate::setup::layer::LayerTools;
use crate::sh;

/// Kas itself reads a file only with all repositories that it names.
const KAS: &str = "
import sys, yaml, jsonschema
from kas.configschema import CONFIGSCHEMA
for name in sys.argv[1:]:
    with open(name) as file:
        jsonschema.validate(yaml.safe_load(file), CONFIGSCHEMA)
";

/// The resolver alone: oebuild itself wants its container and a whole tree.
const OEBUILD: &str = "
import pathlib, sys, yaml
from oebuild.feature_resolver import FeatureRegistry, FeatureResolver
features = pathlib.Path(sys.argv[1])
registry = FeatureRegistry(features)
# Not those that the registry leaves: a feature that ours needs could take some away.
for machine in yaml.safe_load((features / 'mcs/micrun-rust.yaml').read_text())['machines']:
    FeatureResolver(registry, machine).resolve(['mcs/micrun-rust'])
";

/// Features of openEuler's that ours is joined to.
const FEATURES: &str = "qemu-tests/yocto/oebuild";

/// Every file of kas's is as kas wants it.
///
/// # Errors
/// One is not.
pub(super) fn kas(tools: &LayerTools, files: &[PathBuf]) -> Result<()> {
    let of_kas = |file: &&PathBuf| file.parent().is_some_and(|parent| parent.ends_with("kas"));
    let mut check = sh::command(&tools.python);
    check.args(["-c", KAS]).args(files.iter().filter(of_kas));
    sh::read(&mut check).map(drop).context("a kas file is not as kas wants it")
}

/// Oebuild can switch the feature on, on every machine that it is for.
///
/// # Errors
/// It can't.
pub(super) fn oebuild(tools: &LayerTools, root: &Path) -> Result<()> {
    let features = tempfile::tempdir()?;
    let ours = (format!("{LAYER}/oebuild/micrun-rust.yaml"), "mcs");
    let theirs = ["mcs/mcs.yaml", "mcs/mcs-rtos.yaml", "hypervisor/baremetal.yaml"].map(|file| {
        let (category, _) = file.split_once('/').unwrap_or_default();
        (format!("{FEATURES}/{file}"), category)
    });
    for (file, category) in theirs.into_iter().chain([ours]) {
        let (file, category) = (root.join(file), features.path().join(category));
        fs::create_dir_all(&category)?;
        let name = file.file_name().context("no name")?;
        fs::copy(&file, category.join(name)).with_context(|| file.display().to_string())?;
    }
    let mut resolve = sh::command(&tools.python);
    resolve.args(["-c", OEBUILD]).arg(features.path());
    sh::read(&mut resolve).map(drop).context("oebuild can't switch the feature on")
}
