//! Checks the Yocto layer without building anything: style, scripts, what kas and oebuild read, and that it says what the
//! repository says.

mod agreement;
mod builders;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::no_arguments;
use crate::setup::layer::{LayerTools, for_layer};
use crate::sh::{self, Steps};
use crate::workspace::Workspace;

/// The layer in the repository.
pub(crate) const LAYER: &str = "meta-micrun";
/// The series whose rules hold: the newest that has a long life.
const SERIES: &str = "wrynose";

/// Rules of oelint-adv that do not hold here, each with its reason.
const SUPPRESSED: [(&str, &str); 17] = [
    ("oelint.vars.homepageping", "asks the network"),
    ("oelint.var.mandatoryvar.HOMEPAGE", "micrun has no page yet"),
    ("oelint.bbclass.underscores", "classes are named as packages are, like oe-core's image-oci"),
    ("oelint.file.underscores", "the version stands once, in micrun-source.inc"),
    ("oelint.tabs.notabs", "<<- strips tabs alone; oe-core's own functions have them"),
    ("oelint.task.noanonpython", "nothing else can skip a recipe for its reason"),
    ("oelint.vars.mispell", "knows no variable of a class or a layer of its own"),
    ("oelint.vars.mispell.unknown", "likewise"),
    ("oelint.vars.layerconf", "what adapts to other trees belongs there"),
    ("oelint.vars.fileextrapaths", "the archive lies outside the layer"),
    ("oelint.vars.outofcontext", "likewise"),
    ("oelint.vars.noncoreoverride", "appends hold where the feature is on, not for a machine"),
    ("oelint.vars.insaneskip", "one, with its reason beside it"),
    ("oelint.var.licenseremotefile", "the text is oe-core's copy"),
    ("oelint.var.inheritdevtool.native", "the toolchain is no source to develop"),
    ("oelint.var.override", "micrun-image-dev says what differs from micrun-image"),
    ("oelint.var.order", "packagegroup wants its architecture before it is inherited"),
];
/// The same for the recipe of the image for developers, which opens what they need.
const SUPPRESSED_IN_DEV: [&str; 1] = ["oelint.var.badimagefeature"];

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    let tools = for_layer(&workspace.tools())?;
    let files = files(&workspace.root.join(LAYER))?;
    let mut steps = Steps::new(5);
    steps.next("recipes against OpenEmbedded's style");
    lint(&tools, &files)?;
    steps.next("shell scripts");
    scripts(&tools, &files)?;
    steps.next("kas files against kas's schema");
    builders::kas(&tools, &files)?;
    steps.next("the feature for openEuler against oebuild's resolver");
    builders::oebuild(&tools, &workspace.root)?;
    steps.next("the layer against the repository");
    let contradictions = agreement::contradictions(&workspace.root)?;
    if !contradictions.is_empty() {
        bail!("the layer and the repository disagree:\n{}", contradictions.join("\n"));
    }
    println!("the layer is in order");
    Ok(ExitCode::SUCCESS)
}

fn lint(tools: &LayerTools, files: &[PathBuf]) -> Result<()> {
    let recipe = |file: &&PathBuf| {
        matches!(file.extension().and_then(|end| end.to_str()), Some("bb" | "bbappend" | "inc" | "bbclass"))
            || file.ends_with("conf/layer.conf")
    };
    let (for_developers, others): (Vec<_>, Vec<_>) =
        files.iter().filter(recipe).partition(|file| file.ends_with("micrun-image-dev.bb"));
    let rules: Vec<&str> = SUPPRESSED.iter().map(|(rule, _)| *rule).collect();
    oelint(tools, &rules, &others)?;
    oelint(tools, &[&rules[..], &SUPPRESSED_IN_DEV].concat(), &for_developers)
}

fn oelint(tools: &LayerTools, suppressed: &[&str], files: &[&PathBuf]) -> Result<()> {
    let mut oelint = sh::command(&tools.oelint);
    oelint.args(["--quiet", "--relpaths", "--mode", "all", "--hide", "info", "--release", SERIES]);
    for rule in suppressed {
        oelint.args(["--suppress", rule]);
    }
    // Announced without its dozens of arguments.
    println!("  $ oelint-adv --release {SERIES} ... ({} files)", files.len());
    let output = oelint.args(files).output().context("cannot start oelint-adv")?;
    if !output.status.success() {
        bail!("oelint-adv: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Files that begin as a shell script.
fn scripts(tools: &LayerTools, files: &[PathBuf]) -> Result<()> {
    let mut scripts = Vec::new();
    for file in files {
        if fs::read(file)?.starts_with(b"#!/bin/sh") {
            scripts.push(file);
        }
    }
    sh::run(sh::command(&tools.shellcheck).args(scripts))
}

/// All files below `directory`, sorted.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
