//! Debian packages unpacked beside the machine's own: nothing is installed, nothing on the machine changes, and no
//! right is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::sh;

/// Debian 12, which the private packages are made for.
pub(crate) const STABLE: &str = "bookworm";
/// Newer programs built for Debian 12.
pub(crate) const BACKPORTS: &str = "bookworm-backports";
/// Debian 13.
pub(crate) const NEXT: &str = "trixie";
/// Debian's unstable branch.
pub(crate) const UNSTABLE: &str = "sid";

/// An apt with its own sources, package lists and idea of what is installed (nothing). It keeps the machine's mirror,
/// proxy and keys.
pub(crate) struct PrivateApt {
    directory: PathBuf,
}

impl PrivateApt {
    /// One below `tools` with fresh package lists of `suites`, and of no other: what a package needs comes out of
    /// them too.
    ///
    /// # Errors
    /// The machine's apt has no Debian mirror, or the mirror does not have all the suites.
    pub(crate) fn open(tools: &Path, suites: &[&str]) -> Result<Self> {
        Self::open_with(tools, suites, "")
    }

    /// The same with the packages of `architecture` besides those of the machine's own. They are named
    /// `name:architecture`.
    ///
    /// # Errors
    /// As [`PrivateApt::open`].
    pub(crate) fn open_foreign(tools: &Path, suites: &[&str], architecture: &str) -> Result<Self> {
        Self::open_with(tools, suites, &format!("APT::Architectures:: \"{architecture}\";\n"))
    }

    fn open_with(tools: &Path, suites: &[&str], settings: &str) -> Result<Self> {
        let apt = Self { directory: tools.join("apt") };
        for part in ["empty", "state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.directory.join(part))?;
        }
        fs::write(apt.directory.join("status"), "")?;
        let mirror = mirror()?;
        fs::write(apt.directory.join("sources.list"), sources(&mirror, suites))?;
        fs::write(apt.configuration(), configuration(&apt.directory) + settings)?;
        sh::run(apt.get().args(["update", "-qq", "--error-on=any"])).with_context(|| {
            format!(
                "the mirror {mirror} does not give Debian's {}, or its key is not known",
                suites.join(" and ")
            )
        })?;
        Ok(apt)
    }

    /// Unpacks `packages` of `suite` into the new directory `root`, with those they depend on that the machine lacks.
    /// Needs a machine with Debian 12's C library or a newer one.
    ///
    /// # Errors
    /// A package is not to be had, or can't be unpacked.
    pub(crate) fn unpack(&self, packages: &[&str], suite: &str, root: &Path) -> Result<()> {
        let installed = installed()?;
        let needed = |name: &str| packages.contains(&name) || !installed.contains(name);
        self.extract(&self.plan(packages, suite, needed)?, root)
    }

    /// The same with everything they depend on, so that `root` needs nothing of the machine.
    ///
    /// # Errors
    /// As [`PrivateApt::unpack`].
    pub(crate) fn unpack_whole(&self, packages: &[&str], suite: &str, root: &Path) -> Result<()> {
        self.extract(&self.plan(packages, suite, |_| true)?, root)
    }

    /// The same without what they depend on.
    ///
    /// # Errors
    /// As [`PrivateApt::unpack`].
    pub(crate) fn unpack_alone(&self, packages: &[&str], suite: &str, root: &Path) -> Result<()> {
        self.extract(&of_suite(packages, suite), root)
    }

    /// Downloads `packages`, named as apt-get takes them, and unpacks them into `root`.
    fn extract(&self, packages: &[String], root: &Path) -> Result<()> {
        let download = self.directory.join("download");
        remove_if_there(&download)?;
        fs::create_dir_all(&download)?;
        sh::run(self.get().args(["download", "-qq"]).args(packages).current_dir(&download))?;
        fs::create_dir_all(root)?;
        for package in fs::read_dir(&download)? {
            sh::read(Command::new("dpkg").arg("--extract").arg(package?.path()).arg(root))?;
        }
        Ok(fs::remove_dir_all(download)?)
    }

    /// What `package` depends on, alternatives included, without architectures.
    ///
    /// # Errors
    /// There is no such package.
    pub(crate) fn dependencies(&self, package: &str) -> Result<BTreeSet<String>> {
        let mut ask = sh::command("apt-cache");
        ask.env("APT_CONFIG", self.configuration()).args(["depends", "--important", package]);
        Ok(sh::read(&mut ask)?.lines().skip(1).filter_map(depended_on).map(str::to_owned).collect())
    }

    /// `packages` and those they need, as `name=version`, as far as they are `needed`.
    fn plan(&self, packages: &[&str], suite: &str, needed: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut simulate = self.get();
        simulate.args(["install", "--simulate", "--no-install-recommends"]).args(of_suite(packages, suite));
        let plan = sh::read(&mut simulate)?;
        Ok(plan.lines().filter_map(planned).filter(|(name, _)| needed(name)).map(pinned).collect())
    }

    fn get(&self) -> Command {
        let mut apt = sh::command("apt-get");
        apt.env("APT_CONFIG", self.configuration());
        apt
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("apt.conf")
    }
}

/// Removes a directory that an interrupted run may have left.
pub(crate) fn remove_if_there(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    Ok(())
}

/// The mirror that the machine gets its own release from.
fn mirror() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release has no VERSION_CODENAME")?.trim_matches('"');
    let mut targets = sh::command("apt-get");
    targets.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
    let targets = sh::read(&mut targets)?;
    let mirror = targets.lines().find_map(|line| line.strip_prefix(codename)?.strip_prefix(' '));
    match mirror {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!("apt has no source for {codename:?}: there is no mirror to take packages from"),
    }
}

fn sources(mirror: &str, suites: &[&str]) -> String {
    suites.iter().map(|suite| format!("deb {mirror} {suite} main\n")).collect()
}

/// Settings over the machine's own. Downloads are done by the caller itself because apt's usual user may not write
/// here.
fn configuration(directory: &Path) -> String {
    let path = |name: &str| directory.join(name).display().to_string();
    [
        ("Dir::State", path("state")),
        ("Dir::State::status", path("status")),
        ("Dir::Cache", path("cache")),
        ("Dir::Etc::sourcelist", path("sources.list")),
        ("Dir::Etc::sourceparts", path("empty")),
        ("Dir::Etc::preferences", path("no-preferences")),
        ("Dir::Etc::preferencesparts", path("empty")),
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
    ]
    .map(|(name, value)| format!("{name} \"{value}\";\n"))
    .concat()
}

fn of_suite(packages: &[&str], suite: &str) -> Vec<String> {
    packages.iter().map(|package| format!("{package}/{suite}")).collect()
}

/// Name and version out of `Inst name (version suite [architecture])`.
fn planned(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix("Inst ")?.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('(')?))
}

/// Package name out of a line of `apt-cache depends`; names in angle brackets are virtual.
fn depended_on(line: &str) -> Option<&str> {
    let name = line.split_whitespace().next_back()?.split(':').next()?;
    (!name.starts_with('<')).then_some(name)
}

fn pinned((name, version): (&str, &str)) -> String {
    format!("{name}={version}")
}

/// The machine's own packages.
fn installed() -> Result<BTreeSet<String>> {
    let mut query = sh::command("dpkg-query");
    let list = sh::read(query.args(["--show", "--showformat", "${db:Status-Abbrev} ${Package}\\n"]))?;
    Ok(list.lines().filter_map(|line| line.strip_prefix("ii ")).map(|name| name.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_to_install_are_planned() {
        let line = "Inst libslirp0 (4.7.0-1 Debian:12.11/stable [amd64])";
        assert_eq!(planned(line).map(pinned).as_deref(), Some("libslirp0=4.7.0-1"));
        assert_eq!(planned("Conf libslirp0 (4.7.0-1 Debian:12.11/stable [amd64])"), None);
        assert_eq!(planned("Remv libslirp0 [4.7.0-1]"), None);
    }

    #[test]
    fn dependencies_have_no_architecture() {
        assert_eq!(depended_on("  Depends: linux-kbuild-6.1:arm64"), Some("linux-kbuild-6.1"));
        assert_eq!(depended_on("    linux-kbuild-6.1"), Some("linux-kbuild-6.1"));
        assert_eq!(depended_on("  Depends: <linux-kbuild-6.1:arm64>"), None);
    }

    #[test]
    fn both_suites_come_from_one_mirror() {
        let sources = sources("file:/mirror/", &[STABLE, BACKPORTS]);
        assert_eq!(sources, "deb file:/mirror/ bookworm main\ndeb file:/mirror/ bookworm-backports main\n");
    }
}
