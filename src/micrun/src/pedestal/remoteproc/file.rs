//! The firmware's file, where the kernel finds it: of a name that nobody else uses, and gone with the container.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::RemoteprocError;
use firmware::checksum;

/// Where every kernel looks last.
const DEFAULT: &str = "/lib/firmware";
/// The kernel's own setting of a directory where it looks first. It is one for all devices, so it is read, never written.
const PARAMETER: &str = "/sys/module/firmware_class/parameters/path";

/// The directory that the kernel loads firmware from.
pub(super) fn directory() -> PathBuf {
    let set = std::fs::read_to_string(PARAMETER).unwrap_or_default();
    // Some kernels keep the line end that it was written with, and then look there in vain.
    let set = set.strip_suffix('\n').unwrap_or(&set);
    if set.is_empty() || set.contains('\n') { DEFAULT.into() } else { set.into() }
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredFile {
    path: PathBuf,
}

impl StoredFile {
    /// Where `bytes` are to be stored for `core` in `directory`.
    pub(super) fn new(directory: &Path, core: &str, bytes: &[u8]) -> StoredFile {
        // So that the kernel's log says what was loaded.
        let digest = checksum::sha256(bytes);
        StoredFile { path: directory.join(format!("micrun-{core}-{}.elf", &digest[..16])) }
    }

    /// Stores them, in place of what an earlier container left there.
    pub(super) fn store(&self, bytes: &[u8]) -> Result<(), RemoteprocError> {
        self.remove();
        self.write(bytes).map_err(|source| {
            self.remove();
            RemoteprocError::Store { path: self.path.display().to_string(), source }
        })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&self.path)?.write_all(bytes)
    }

    /// What the kernel calls it.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Removes it; not before the core is off, as a recovery reads it again.
    pub(super) fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("{}: {error}", self.path.display());
        }
    }
}

/// Checks what the kernel would refuse without saying why. The core may be of any architecture.
pub(super) fn check(bytes: &[u8]) -> Result<(), RemoteprocError> {
    let wrong = |what| Err(RemoteprocError::File(what));
    let header = bytes.get(..64).or(bytes.get(..52));
    let Some(header) = header.filter(|header| header.starts_with(b"\x7fELF")) else {
        return wrong("it is not an elf file");
    };
    let program_headers = match (header[4], header.len()) {
        (1, _) => &header[44..46],
        (2, 64) => &header[56..58],
        _ => return wrong("its elf class is not 1 (32 bits) or 2 (64 bits), or it is cut off"),
    };
    let native = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[5] != native {
        return wrong("its byte order is not that of linux here");
    }
    if *program_headers == [0; 2] {
        return wrong("it has no program header: it is not linked");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_under_its_name_and_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = dir.path().join("firmware");
        let file = StoredFile::new(&directory, "remoteproc0", b"abc");
        file.store(b"abc").expect("stored");
        assert_eq!(file.name(), "micrun-remoteproc0-ba7816bf8f01cfea.elf");
        assert_eq!(std::fs::read(directory.join(file.name())).expect("there"), b"abc");
        file.store(b"abc").expect("stored again");
        file.remove();
        assert_eq!(std::fs::read_dir(&directory).expect("a directory").count(), 0);
        file.remove();
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("file"), "").expect("written");
        let place = dir.path().join("file/below");
        let error = StoredFile::new(&place, "remoteproc0", b"abc").store(b"abc");
        let error = error.expect_err("no directory").to_string();
        assert!(error.starts_with(&format!("{}/micrun-remoteproc0-", place.display())), "{error}");
    }

    #[test]
    fn what_is_no_firmware_is_refused_before_the_kernel_does() {
        let mut file = vec![0; 64];
        assert!(check(&file).is_err());
        file[..6].copy_from_slice(b"\x7fELF\x01\x01");
        assert!(check(&file).is_err());
        file[44] = 1;
        check(&file).expect("32 bits");
        check(&file[..52]).expect("the shortest there is");
        file[4] = 2;
        assert!(check(&file).is_err());
        file[56] = 1;
        check(&file).expect("64 bits");
        assert!(check(&file[..63]).is_err());
        file[5] = 2;
        assert!(check(&file).is_err());
    }
}
