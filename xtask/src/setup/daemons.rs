//! The container daemons beside the machine's own: the containerds and the Docker of newer Debians, and the plug-ins
//! that give pods a network. They need nothing but Debian 12's libraries and run from where they are unpacked.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::private::{NEXT, PrivateApt, STABLE, UNSTABLE, remove_if_there};
use crate::sh;

/// What of Debian is unpacked where, and how to see that it is the right thing.
pub(super) struct Daemon {
    /// Its name for a person.
    name: &'static str,
    suite: &'static str,
    packages: &'static [&'static str],
    /// Directory of its copy.
    directory: &'static str,
    /// The part of the copy that others get to know.
    part: &'static str,
    /// Environment variable that names another such part.
    variable: &'static str,
    /// A program in that part, and what its answer to the question for its version contains.
    probe: (&'static str, &'static str),
}

/// Debian 13's. Programs lie in the directory itself, as with every containerd here.
pub(super) const CONTAINERD_1_7: Daemon = Daemon {
    name: "containerd 1.7",
    suite: NEXT,
    packages: &["containerd"],
    directory: "containerd-1.7",
    part: "usr/bin",
    variable: "MICRUN_CONTAINERD_1_7",
    probe: ("containerd", "containerd/containerd 1.7."),
};

/// That of Debian's unstable branch: 2.1, or what follows it there.
pub(super) const CONTAINERD_2_1: Daemon = Daemon {
    name: "containerd 2",
    suite: UNSTABLE,
    packages: &["containerd"],
    directory: "containerd-2.1",
    part: "usr/bin",
    variable: "MICRUN_CONTAINERD_2_1",
    probe: ("containerd", "containerd/containerd/v2 2."),
};

/// Debian 13's. The server is `sbin/dockerd`, the client `bin/docker`.
pub(super) const DOCKER: Daemon = Daemon {
    name: "Docker 26",
    suite: NEXT,
    packages: &["docker.io", "docker-cli"],
    directory: "docker-26",
    part: "usr",
    variable: "MICRUN_DOCKER",
    probe: ("sbin/dockerd", "Docker version 26."),
};

/// Debian 12's plug-ins for pods with a network.
pub(super) const CNI: Daemon = Daemon {
    name: "CNI plug-ins",
    suite: STABLE,
    packages: &["containernetworking-plugins"],
    directory: "cni",
    part: "usr/lib/cni",
    variable: "MICRUN_CNI",
    probe: ("host-local", "\"0.4.0\""),
};

/// Debian 12's registry of images. It is not installed because its package would start it.
pub(super) const REGISTRY: Daemon = Daemon {
    name: "a registry",
    suite: STABLE,
    packages: &["docker-registry"],
    directory: "registry",
    part: "usr/bin",
    variable: "MICRUN_REGISTRY",
    probe: ("docker-registry", "docker-registry"),
};

impl Daemon {
    /// The part that the caller names, or that of the private copy below `tools`, which is made if it is not there.
    ///
    /// # Errors
    /// The packages are not to be had, or what they hold does not run here.
    pub(super) fn copy(&self, tools: &Path) -> Result<PathBuf> {
        let named = env::var_os(self.variable).map(PathBuf::from);
        let copy = tools.join(self.directory);
        let directory = named.unwrap_or_else(|| copy.join(self.part));
        if !self.runs(&directory) {
            println!("unpacking a private copy of {}", self.name);
            remove_if_there(&copy)?;
            PrivateApt::open(tools, &[self.suite])?.unpack_alone(self.packages, self.suite, &copy)?;
        }
        if !self.runs(&directory) {
            bail!("{}: holds no {} that runs here", directory.display(), self.name);
        }
        Ok(directory)
    }

    fn runs(&self, directory: &Path) -> bool {
        let (program, answer) = self.probe;
        let mut probe = sh::command(directory.join(program));
        // Daemons are asked by argument, plug-ins by environment.
        probe.arg("--version").env("CNI_COMMAND", "VERSION");
        sh::read(&mut probe).is_ok_and(|said| said.contains(answer))
    }
}
