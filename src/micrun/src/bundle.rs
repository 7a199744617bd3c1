//! The bundle: what of OCI's `config.json` means something to a core, checked when read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::rootfs::Mount;
use crate::rpc::Volume;
use firmware::file::FileError;
use serde::Deserialize;
use serde_json::Value;

/// A `config.json` is a few KiB; this bounds what a broken one costs.
const CONFIG_LIMIT: u64 = 8 << 20;
const CONFIG: &str = "config.json";
/// Where the root file system lies unless the specification says otherwise.
pub const ROOTFS: &str = "rootfs";

/// Why a bundle is not usable.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: FileError,
    },
    /// The file is not what OCI says it is.
    #[error("{path}: {source}")]
    Parse {
        /// Its path.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The fields of an OCI runtime specification that we read. All others are ignored.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default, rename = "ociVersion")]
    version: String,
    #[serde(default)]
    root: Option<Root>,
    #[serde(default)]
    process: Option<Process>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    mounts: Vec<ConfigMount>,
    #[serde(default)]
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
struct Process {
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    user: User,
}

#[derive(Debug, Default, Deserialize)]
struct ConfigMount {
    destination: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Vec<Namespace>,
    #[serde(default)]
    sysctl: BTreeMap<String, String>,
    #[serde(default)]
    resources: Value,
    #[serde(default, rename = "cgroupsPath")]
    cgroups_path: String,
}

/// The user that the container's process is to have: nothing to a core, but the owner of its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct User {
    /// User id.
    #[serde(default)]
    pub uid: u32,
    /// Group id.
    #[serde(default)]
    pub gid: u32,
}

/// A namespace that the container's process is to have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// `network`, `ipc`, `uts`, `pid`, `mount`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is; a new one if absent.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Root {
    path: PathBuf,
}

/// An opened bundle.
#[derive(Debug)]
pub struct Bundle {
    /// Its directory.
    pub dir: PathBuf,
    /// Where the root file system is, or is to be mounted. Absolute.
    pub rootfs: PathBuf,
    /// What its process would be run with: the image's entrypoint, or what the user says instead.
    pub args: Vec<String>,
    /// Whose process it would be.
    pub user: User,
    /// Version of the OCI runtime specification that it follows; empty if it does not say.
    pub version: String,
    /// Annotations of the container.
    pub annotations: BTreeMap<String, String>,
    /// Namespaces that its process would have.
    pub namespaces: Vec<Namespace>,
    /// Its host name, empty for the host's.
    pub hostname: String,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Directories and files of the host that the container sees. Other mounts mean nothing without Linux.
    pub volumes: Vec<Volume>,
    /// OCI's `linux.resources`, null if there are none.
    pub resources: Value,
    /// Its control group; empty if it says nothing.
    pub cgroups_path: String,
}

impl Bundle {
    /// Reads the bundle in `dir`.
    pub fn open(dir: &Path) -> Result<Bundle, BundleError> {
        let path = dir.join(CONFIG);
        let name = || path.display().to_string();
        let read = File::open(&path).map_err(FileError::Io);
        let bytes = read.and_then(|file| firmware::file::read(&file, CONFIG_LIMIT));
        let bytes = bytes.map_err(|source| BundleError::Read { path: name(), source })?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|source| BundleError::Parse { path: name(), source })?;
        Ok(Bundle::of(dir, config))
    }

    /// The same; without a `config.json` one that says nothing. A pod of the Sandbox service may have none.
    pub fn open_or_bare(dir: &Path) -> Result<Bundle, BundleError> {
        match Bundle::open(dir) {
            Err(BundleError::Read { source: FileError::Io(error), .. })
                if error.kind() == ErrorKind::NotFound =>
            {
                Ok(Bundle::of(dir, Config::default()))
            }
            opened => opened,
        }
    }

    fn of(dir: &Path, config: Config) -> Bundle {
        // Joining an absolute path gives that path: Docker names its root file system so.
        let Config { version, root, process, annotations, hostname, mounts, linux } = config;
        let rootfs = dir.join(root.map_or_else(|| ROOTFS.into(), |root| root.path));
        let Process { args, user } = process.unwrap_or_default();
        let Linux { namespaces, sysctl: sysctls, resources, cgroups_path } = linux.unwrap_or_default();
        let dir = dir.to_owned();
        let volumes = mounts.into_iter().filter_map(volume).collect();
        Bundle {
            dir,
            rootfs,
            args,
            user,
            version,
            annotations,
            namespaces,
            hostname,
            sysctls,
            volumes,
            resources,
            cgroups_path,
        }
    }
}

/// A bind mount; `None` for other kinds.
fn volume(mount: ConfigMount) -> Option<Volume> {
    let ConfigMount { destination, kind, source, options } = mount;
    let binds = kind == "bind" || options.iter().any(|option| option == "bind" || option == "rbind");
    let mount = Mount { kind: "bind".to_owned(), source, options };
    binds.then_some(Volume { destination, mount })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(config: &str) -> Result<Bundle, BundleError> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(CONFIG), config).expect("written");
        Bundle::open(dir.path())
    }

    #[test]
    fn a_relative_root_lies_in_the_bundle_and_an_absolute_one_does_not() {
        let relative = bundle(r#"{"ociVersion":"1.0.2","root":{"path":"fs"}}"#).expect("a bundle");
        assert_eq!(relative.rootfs, relative.dir.join("fs"));
        let absolute = bundle(r#"{"root":{"path":"/docker/fs"},"annotations":{"a":"b"}}"#).expect("a bundle");
        assert_eq!(absolute.rootfs, Path::new("/docker/fs"));
        assert_eq!(absolute.annotations["a"], "b");
        assert_eq!(bundle("{}").expect("a bundle").rootfs.file_name(), Some("rootfs".as_ref()));
    }

    #[test]
    fn a_broken_config_is_named() {
        let error = bundle("{\"root\":7}").expect_err("not a root").to_string();
        assert!(error.contains("config.json: invalid type"), "{error}");
    }
}
