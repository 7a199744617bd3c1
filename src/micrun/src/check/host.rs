//! What a machine has, as far as its file system tells. Nothing is changed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bit of `CapEff` in `/proc/PID/status` (capabilities(7)).
const CAP_SYS_RAWIO: u32 = 17;

/// The machine whose file system begins at a directory.
pub(super) struct Host {
    root: PathBuf,
    /// Where programs are looked for, as in `PATH`.
    path: String,
    /// The emulator that the shim is told to use.
    emulator: Option<PathBuf>,
    /// Text of the kernel's configuration, if it tells.
    options: Option<String>,
}

impl Host {
    pub(super) fn new(root: PathBuf, path: String, emulator: Option<PathBuf>) -> Host {
        let options = options(&root);
        Host { root, path, emulator, options }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn emulator(&self) -> Option<PathBuf> {
        self.emulator.clone()
    }

    /// A path of the machine.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    pub(super) fn has_socket(&self, path: &str) -> bool {
        fs::metadata(self.at(path)).is_ok_and(|file| file.file_type().is_socket())
    }

    /// Names in a directory.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.at(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// True if the kernel surely lacks the option: not if its configuration is not to be had.
    pub(super) fn lacks_option(&self, option: &str) -> bool {
        let set = |text: &String| {
            ["y", "m"].iter().any(|value| text.contains(&format!("CONFIG_{option}={value}\n")))
        };
        self.options.as_ref().is_some_and(|text| !set(text))
    }

    /// True if a program that this one starts could use `/dev/mcs`.
    pub(super) fn may_do_raw_io(&self) -> bool {
        let status = self.text("/proc/self/status").unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> CAP_SYS_RAWIO & 1 == 1)
    }

    /// The program of that name.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let runs = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        self.path.split(':').map(|directory| self.at(directory).join(name)).find(runs)
    }
}

/// What a program prints to standard output.
pub(super) fn output(program: &Path, arguments: &[&OsStr]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The kernel's configuration: the file that distributions install, else the kernel's own.
fn options(root: &Path) -> Option<String> {
    let release = fs::read(root.join("proc/sys/kernel/osrelease")).ok()?;
    let release = OsStr::from_bytes(release.trim_ascii());
    let mut installed = root.join("boot/config-").into_os_string();
    installed.push(release);
    let packed = root.join("proc/config.gz");
    fs::read_to_string(installed).ok().or_else(|| {
        packed.exists().then(|| output(Path::new("gzip"), &["-dc".as_ref(), packed.as_os_str()]))?
    })
}
