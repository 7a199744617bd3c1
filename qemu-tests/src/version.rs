//! The containerds that micrun is tested under.

use std::env;
use std::path::PathBuf;

use crate::{Artifacts, Options};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The machine's own, as in Debian 12.
    V1_6,
    /// That of Debian 13.
    V1_7,
    /// That of Debian's unstable branch.
    V2_1,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V1_6, Self::V1_7, Self::V2_1];

    /// How it is started with the built shim in its path.
    ///
    /// # Panics
    /// The tests were not started by `cargo xtask test`.
    #[must_use]
    pub fn options(self) -> Options {
        let containerd = match self {
            Self::V1_6 => None,
            Self::V1_7 => Some(directory("MICRUN_CONTAINERD_1_7")),
            Self::V2_1 => Some(directory("MICRUN_CONTAINERD_2_1")),
        };
        Options { containerd, ..Options::with(&Artifacts::from_env()) }
    }
}

/// Makes a test of each function `fn scenario(version: Version) -> Result<()>` for each containerd.
#[macro_export]
macro_rules! under_every_containerd {
    ($($scenario:ident),* $(,)?) => {
        $crate::under_every_containerd!(@v1_6 V1_6: $($scenario)*);
        $crate::under_every_containerd!(@v1_7 V1_7: $($scenario)*);
        $crate::under_every_containerd!(@v2_1 V2_1: $($scenario)*);
    };
    (@$module:ident $version:ident: $($scenario:ident)*) => {
        mod $module {
            $(#[test] fn $scenario() -> anyhow::Result<()> { super::$scenario($crate::Version::$version) })*
        }
    };
}

/// The directory that the environment variable `name` names.
///
/// # Panics
/// It names none: the tests were not started by `cargo xtask test`.
#[must_use]
pub fn directory(name: &str) -> PathBuf {
    let path = env::var_os(name).map(PathBuf::from).filter(|path| path.is_dir());
    path.unwrap_or_else(|| panic!("{name} names no directory: run the tests by `cargo xtask test`"))
}
