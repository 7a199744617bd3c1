//! What builds kernel modules for arm64: a root directory per kernel, with its headers, the compiler that it was built
//! with, and all that these need. A newer Debian's compiler does not run with this one's libraries.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::private::{PrivateApt, STABLE, UNSTABLE, remove_if_there};
use crate::sh;

/// Debian's name of the architecture.
pub(super) const ARCHITECTURE: &str = "arm64";
/// What a directory of headers is called, up to the kernel's release.
const HEADERS_DIRECTORY: &str = "/usr/src/linux-headers-";
/// Depends on the headers of a suite's newest kernel.
const HEADERS: &str = "linux-headers-arm64:arm64";
/// The compiler, `make`, what kernel makefiles and `checkpatch.pl` call, and what takes sources and device trees apart.
const PROGRAMS: [&str; 15] = [
    "gcc-aarch64-linux-gnu",
    "make",
    "bash",
    "dash",
    "coreutils",
    "device-tree-compiler",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "mawk",
    "perl",
    "sed",
    "tar",
    "xz-utils",
];

/// A kernel to build for.
pub(crate) struct Kernel {
    /// For a person, and for a directory.
    pub(crate) name: &'static str,
    suite: &'static str,
}

/// Debian 12's 6.1.
pub(crate) const OLDEST: Kernel = Kernel { name: "oldest", suite: STABLE };

/// The oldest and the newest that modules are built for: Debian 12's, and that of Debian's unstable branch.
pub(crate) const KERNELS: [Kernel; 2] = [OLDEST, Kernel { name: "newest", suite: UNSTABLE }];

/// A root directory that a kernel's modules are built in.
pub(crate) struct BuildRoot {
    /// The directory.
    pub(crate) path: PathBuf,
    /// Where in it the headers are, as programs in it see it.
    pub(crate) headers: String,
}

impl BuildRoot {
    /// A program of the root, run inside it as the caller, with nothing of the caller's environment.
    pub(crate) fn program(&self, name: &str) -> std::process::Command {
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let mut chroot = sh::as_root("chroot", [("LC_ALL", "C")]);
        chroot.arg(format!("--userspec={user}:{group}")).arg(&self.path);
        chroot.args(["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", name]);
        chroot
    }

    /// The kernel's release, as `uname -r` tells it: that of the headers.
    pub(crate) fn release(&self) -> &str {
        self.headers.trim_start_matches(HEADERS_DIRECTORY)
    }
}

impl Kernel {
    /// The directory below `tools`, which is made if it is not there.
    ///
    /// # Errors
    /// The packages are not to be had or can't be unpacked; the caller is neither root nor can become it.
    pub(crate) fn root(&self, tools: &Path) -> Result<BuildRoot> {
        let path = tools.join(format!("kernel-{}", self.name));
        let (complete, contents) = (path.join("complete"), PROGRAMS.join(" "));
        if fs::read_to_string(&complete).ok().as_ref() != Some(&contents) {
            println!("unpacking headers and compiler of the {} kernel", self.name);
            remove_if_there(&path)?;
            self.unpack(tools, &path)?;
            add_what_scripts_make(&path)?;
            fs::write(complete, contents)?;
        }
        Ok(BuildRoot { headers: headers(&path)?, path })
    }

    fn unpack(&self, tools: &Path, root: &Path) -> Result<()> {
        let apt = PrivateApt::open_foreign(tools, &[self.suite], ARCHITECTURE)?;
        let of_arm64 = one(apt.dependencies(HEADERS)?, "linux-headers-")?;
        let of_arm64 = format!("{of_arm64}:{ARCHITECTURE}");
        let needed = apt.dependencies(&of_arm64)?;
        let (common, scripts) = (one(needed.clone(), "linux-headers-")?, one(needed, "linux-kbuild-")?);
        apt.unpack_whole(&[&PROGRAMS[..], &[&scripts]].concat(), self.suite, root)?;
        apt.unpack_alone(&[&of_arm64, &common], self.suite, root)
    }
}

/// The one of `names` that begins with `prefix`.
fn one(names: impl IntoIterator<Item = String>, prefix: &str) -> Result<String> {
    let found = names.into_iter().find(|name| name.starts_with(prefix));
    found.with_context(|| format!("the headers of the kernel depend on no package {prefix}*"))
}

/// What the packages' scripts would have made, had they been installed.
fn add_what_scripts_make(root: &Path) -> Result<()> {
    symlink("mawk", root.join("usr/bin/awk"))?;
    let null = root.join("dev/null");
    sh::run(sh::as_root("mknod", [("LC_ALL", "C")]).args(["-m", "666"]).arg(null).args(["c", "1", "3"]))
}

fn headers(root: &Path) -> Result<String> {
    for entry in fs::read_dir(root.join("usr/src"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let release = name.strip_prefix("linux-headers-").filter(|name| name.ends_with(ARCHITECTURE));
        if let Some(release) = release {
            return Ok(format!("{HEADERS_DIRECTORY}{release}"));
        }
    }
    anyhow::bail!("{}: has no kernel headers", root.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_those_of_the_architecture() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["linux-headers-6.1.0-50-common", "linux-kbuild-6.1", "linux-headers-6.1.0-50-arm64"]
        {
            fs::create_dir_all(root.path().join("usr/src").join(directory)).unwrap();
        }
        assert_eq!(headers(root.path()).unwrap(), "/usr/src/linux-headers-6.1.0-50-arm64");
    }
}
