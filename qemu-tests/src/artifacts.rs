//! Where the programs and images under test are.

use std::env;
use std::path::{Path, PathBuf};

/// Environment variable with the directory that `cargo xtask build` fills.
const DIRECTORY: &str = "MICRUN_ARTIFACTS";

/// The built programs and images; having a value proves that those are there that containers are made of. A guest has no more.
#[derive(Debug, Clone)]
pub struct Artifacts {
    directory: PathBuf,
}

impl Artifacts {
    /// Name under which `hello.tar` is known once it is imported.
    pub const HELLO: &str = "localhost/hello:1";

    /// The artifacts of this test run.
    ///
    /// # Panics
    /// The environment does not name a complete directory: the tests were not started by `cargo xtask test`.
    #[must_use]
    pub fn from_env() -> Self {
        let directory = env::var_os(DIRECTORY).unwrap_or_else(|| {
            panic!("{DIRECTORY} is not set: run the tests by `cargo xtask test`");
        });
        Self::in_directory(Path::new(&directory)).unwrap_or_else(|missing| {
            panic!("{} is missing: run the tests by `cargo xtask test`", missing.display());
        })
    }

    /// The artifacts in `directory`.
    ///
    /// # Errors
    /// The path of the first artifact that is not there.
    pub fn in_directory(directory: &Path) -> Result<Self, PathBuf> {
        let artifacts = Self { directory: directory.to_path_buf() };
        let all = [artifacts.shim(), artifacts.rtos(), artifacts.hello()];
        match all.into_iter().find(|path| !path.is_file()) {
            Some(missing) => Err(missing),
            None => Ok(artifacts),
        }
    }

    /// Directory of the programs; containerd finds the shim when it comes first in `PATH`.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// The shim, as it ships: static, stripped.
    #[must_use]
    pub fn shim(&self) -> PathBuf {
        self.bin().join("containerd-shim-mica-v2")
    }

    /// The image builder.
    #[must_use]
    pub fn builder(&self) -> PathBuf {
        self.bin().join("micrun-image-builder")
    }

    /// The test RTOS as an ELF file.
    #[must_use]
    pub fn rtos(&self) -> PathBuf {
        self.directory.join("test-rtos.elf")
    }

    /// The test RTOS as it would be on a Raspberry Pi 4: linked at 0x7b000000, without PSCI.
    #[must_use]
    pub fn rtos_rpi4(&self) -> PathBuf {
        self.directory.join("test-rtos-rpi4.elf")
    }

    /// The test RTOS as an image archive, known as [`Artifacts::HELLO`].
    #[must_use]
    pub fn hello(&self) -> PathBuf {
        self.directory.join("hello.tar")
    }
}
