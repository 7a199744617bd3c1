//! What an arm64 machine of Debian 12 boots from: kernel, modules, device trees, a busybox.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::{ARCHITECTURE, OLDEST};
use super::private::{PrivateApt, STABLE, remove_if_there};

/// The kernel's modules that the guest needs besides its own, in an order in which they can be loaded when what they
/// depend on goes before each.
const MODULES: [&str; 2] = ["rpmsg_core", "overlay"];
/// The same for a guest whose root file system is on a disk.
const DISK_MODULES: [&str; 5] = ["virtio_mmio", "virtio_blk", "crc32c_generic", "ext4", "overlay"];

/// The trees of real boards that our overlays are for, as board files name them (`device-tree.base`).
const DEVICE_TREES: [&str; 2] = ["broadcom/bcm2711-rpi-4-b.dtb", "rockchip/rk3568-evb1-v10.dtb"];

/// containerd, its client, and what both are linked with: package, path in it, path in the guest.
const CONTAINERD: [(&str, &str, &str); 4] = [
    ("containerd", "usr/bin/containerd", "/bin/containerd"),
    ("containerd", "usr/bin/ctr", "/bin/ctr"),
    ("libc6", "lib/ld-linux-aarch64.so.1", "/lib/ld-linux-aarch64.so.1"),
    ("libc6", "lib/aarch64-linux-gnu/libc.so.6", "/lib/libc.so.6"),
];

/// What is unpacked of Debian.
pub(crate) struct Guest {
    directory: PathBuf,
}

impl Guest {
    /// The kernel of this release and what goes with it, below `tools`; unpacked if it is not there.
    ///
    /// # Errors
    /// The packages are not to be had: Debian keeps a release of the kernel for some months only.
    pub(crate) fn of_release(tools: &Path, release: &str) -> Result<Self> {
        let guest = Self { directory: tools.join("guest") };
        let (complete, contents) = (
            guest.directory.join("complete"),
            format!("{release} {MODULES:?} {DISK_MODULES:?} {DEVICE_TREES:?}"),
        );
        if fs::read_to_string(&complete).ok().as_ref() != Some(&contents) {
            println!("unpacking kernel {release} and busybox for {ARCHITECTURE}");
            remove_if_there(&guest.directory)?;
            guest.unpack(tools, release).with_context(|| {
                format!(
                    "if kernel {release} is gone, remove {}: a newer one comes",
                    tools.join("kernel-oldest").display()
                )
            })?;
            fs::write(complete, contents)?;
        }
        Ok(guest)
    }

    /// The same of the oldest kernel that modules are built for.
    ///
    /// # Errors
    /// As [`Guest::of_release`], and as [`Kernel::root`](super::kernel::Kernel::root).
    pub(crate) fn of_oldest(tools: &Path) -> Result<Self> {
        Self::of_release(tools, OLDEST.root(tools)?.release())
    }

    pub(crate) fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    pub(crate) fn busybox(&self) -> PathBuf {
        self.directory.join("busybox")
    }

    /// Where the device trees of boards are, by the names that the kernel has for them.
    pub(crate) fn device_trees(&self) -> PathBuf {
        self.directory.join("device-trees")
    }

    /// The modules in the order in which they are loaded.
    ///
    /// # Errors
    /// They can't be read.
    pub(crate) fn modules(&self) -> Result<Vec<PathBuf>> {
        self.ordered("order")
    }

    /// Those of a guest whose root file system is on a disk, in the order in which they are loaded.
    ///
    /// # Errors
    /// As [`Guest::modules`].
    pub(crate) fn disk_modules(&self) -> Result<Vec<PathBuf>> {
        self.ordered("disk-order")
    }

    fn ordered(&self, list: &str) -> Result<Vec<PathBuf>> {
        let modules = self.directory.join("modules");
        Ok(fs::read_to_string(modules.join(list))?.lines().map(|name| modules.join(name)).collect())
    }

    /// containerd and what it needs: files, and their paths in the guest. Unpacked below `tools` if they are not there.
    ///
    /// # Errors
    /// The packages are not to be had.
    pub(crate) fn containerd(tools: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
        let directory = tools.join("guest-containerd");
        let kept = |(_, _, place): &(&str, &str, &'static str)| (directory.join(&place[1..]), *place);
        let files: Vec<_> = CONTAINERD.iter().map(kept).collect();
        if !files.iter().all(|(file, _)| file.is_file()) {
            println!("unpacking containerd for {ARCHITECTURE}");
            remove_if_there(&directory)?;
            let root = directory.join("root");
            let packages = CONTAINERD.map(|(package, _, _)| format!("{package}:{ARCHITECTURE}"));
            let packages = BTreeSet::from(packages);
            let packages: Vec<_> = packages.iter().map(String::as_str).collect();
            PrivateApt::open_foreign(tools, &[STABLE], ARCHITECTURE)?
                .unpack_alone(&packages, STABLE, &root)?;
            for ((file, _), (_, path, _)) in files.iter().zip(CONTAINERD) {
                fs::create_dir_all(file.parent().context("a file")?)?;
                fs::copy(root.join(path), file).with_context(|| path.to_owned())?;
            }
            fs::remove_dir_all(root)?;
        }
        Ok(files)
    }

    fn unpack(&self, tools: &Path, release: &str) -> Result<()> {
        let root = self.directory.join("root");
        let (kernel, busybox) =
            (format!("linux-image-{release}:{ARCHITECTURE}"), format!("busybox-static:{ARCHITECTURE}"));
        PrivateApt::open_foreign(tools, &[STABLE], ARCHITECTURE)?.unpack_alone(
            &[&kernel, &busybox],
            STABLE,
            &root,
        )?;
        fs::rename(root.join(format!("boot/vmlinuz-{release}")), self.kernel())?;
        fs::rename(root.join("bin/busybox"), self.busybox())?;
        self.keep_modules(&root.join("lib/modules").join(release).join("kernel"))?;
        self.keep_device_trees(&root.join(format!("usr/lib/linux-image-{release}")))?;
        // Of thousands of modules a few are needed.
        Ok(fs::remove_dir_all(root)?)
    }

    fn keep_device_trees(&self, from: &Path) -> Result<()> {
        for name in DEVICE_TREES {
            let to = self.device_trees().join(name);
            fs::create_dir_all(to.parent().context("a file")?)?;
            fs::copy(from.join(name), to).with_context(|| name.to_owned())?;
        }
        Ok(())
    }

    /// Keeps the modules of both lists and what they depend on.
    fn keep_modules(&self, from: &Path) -> Result<()> {
        let mut all = BTreeMap::new();
        find_modules(from, &mut all)?;
        let modules = self.directory.join("modules");
        fs::create_dir_all(&modules)?;
        for (list, names) in [("order", &MODULES[..]), ("disk-order", &DISK_MODULES)] {
            let mut order = Vec::new();
            for name in names {
                add_with_dependencies(name, &all, &mut order)?;
            }
            let mut lines = String::new();
            for name in order {
                let file = format!("{name}.ko");
                fs::copy(&all[&name], modules.join(&file))?;
                lines += &format!("{file}\n");
            }
            fs::write(modules.join(list), lines)?;
        }
        Ok(())
    }
}

/// All modules below `directory` by name. In names a dash is an underscore.
fn find_modules(directory: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            find_modules(&path, found)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".ko")) {
            found.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

fn add_with_dependencies(name: &str, all: &BTreeMap<String, PathBuf>, order: &mut Vec<String>) -> Result<()> {
    if order.iter().any(|known| known == name) {
        return Ok(());
    }
    let path = all.get(name).with_context(|| format!("the kernel has no module {name}"))?;
    for needed in dependencies(&fs::read(path)?) {
        add_with_dependencies(&needed.replace('-', "_"), all, order)?;
    }
    order.push(name.to_owned());
    Ok(())
}

/// What a module says of itself: strings `key=value`, each with a NUL before and behind it.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_what_it_depends_on() {
        assert_eq!(dependencies(b"x\0depends=a,b-c\0name=d\0"), ["a", "b-c"]);
        assert!(dependencies(b"x\0depends=\0name=d\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let module = |name: &str, needs: &str| {
            let path = directory.path().join(format!("{name}.ko"));
            fs::write(&path, format!("\0depends={needs}\0")).unwrap();
            (name.to_owned(), path)
        };
        let all = BTreeMap::from([module("a", "b,c"), module("b", "c"), module("c", "")]);
        let mut order = Vec::new();
        add_with_dependencies("a", &all, &mut order).unwrap();
        assert_eq!(order, ["c", "b", "a"]);
        assert!(add_with_dependencies("d", &all, &mut order).is_err());
    }
}
