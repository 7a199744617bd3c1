//! What the caller asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    oe_core: Option<PathBuf>,
    bitbake: Option<PathBuf>,
    /// Further layers for `micrun-image`: those that it needs, and those of machines.
    pub(super) layers: Vec<PathBuf>,
    /// Further machines, of those layers.
    pub(super) machines: Vec<String>,
    /// Whether `yocto-check-layer` runs.
    pub(super) check_layer: bool,
    /// Whether a second build elsewhere is compared with the first.
    pub(super) twice: bool,
    /// A root file system that was built before: it is booted, and nothing else is done.
    pub(super) boot: Option<PathBuf>,
}

impl Wish {
    /// openembedded-core and bitbake, if both are named.
    ///
    /// # Errors
    /// One is no such tree.
    pub(super) fn trees(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        let (Some(oe_core), Some(bitbake)) = (&self.oe_core, &self.bitbake) else { return Ok(None) };
        Ok(Some((holding(oe_core, "meta/conf/bitbake.conf")?, holding(bitbake, "bin/bitbake")?)))
    }
}

fn holding(tree: &Path, file: &str) -> Result<PathBuf> {
    let tree = tree.canonicalize().with_context(|| tree.display().to_string())?;
    if !tree.join(file).is_file() {
        bail!("{}: has no {file}", tree.display());
    }
    Ok(tree)
}

pub(super) fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--oe-core" => wish.oe_core = Some(value()?.into()),
            "--bitbake" => wish.bitbake = Some(value()?.into()),
            "--layer" => wish.layers.push(Path::new(value()?).canonicalize()?),
            "--machine" => wish.machines.push(value()?.clone()),
            "--boot" => wish.boot = Some(value()?.into()),
            "--check-layer" => wish.check_layer = true,
            "--twice" => wish.twice = true,
            other => bail!(
                "argument {other:?}: yocto takes --oe-core DIR, --bitbake DIR, --layer DIR, --machine NAME, \
                 --check-layer, --twice and --boot IMAGE"
            ),
        }
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(arguments: &[&str]) -> Result<Wish> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn trees_are_needed_both() {
        assert_eq!(wish(&["--oe-core", "/a"]).unwrap().trees().unwrap(), None);
        assert!(wish(&["--oe-core", "/nowhere", "--bitbake", "/nowhere"]).unwrap().trees().is_err());
    }

    #[test]
    fn an_unknown_argument_and_a_missing_value_are_errors() {
        assert!(wish(&["--oe-core"]).is_err());
        assert!(wish(&["--oecore", "/a"]).is_err());
    }
}
