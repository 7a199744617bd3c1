//! Mounts that nobody else sees.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// A second, read-only mount of the directory, reachable through this descriptor alone.
pub(crate) fn read_only_view(directory: &Path) -> nix::Result<OwnedFd> {
    let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a live text that ends in a zero byte.
    let opened = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let tree = i32::try_from(Errno::result(opened)?).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows of it.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the text is constant, and the kernel reads a live structure of the size that it is told.
    let changed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(changed).map(|_| tree)
}
