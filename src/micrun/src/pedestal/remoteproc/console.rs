//! Where the firmware's console is: a terminal of rpmsg_tty, or an endpoint of rpmsg_char.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::sysfs::numbered;
use crate::channel::Device;

const CONSOLE: &str = "rpmsg-tty";
/// What rpmsg_char serves by itself.
const RAW: &str = "rpmsg-raw";
const ENDPOINTS: &str = "rpmsg_chrdev";
/// A channel without a driver has none by now, be it that a module is loaded first.
const DRIVERLESS: Duration = Duration::from_secs(1);

/// Finds the console of one core among those of all.
#[derive(Debug)]
pub(super) struct Console {
    sys: PathBuf,
    dev: PathBuf,
    /// The core's own device, below which its channels are.
    device: PathBuf,
    /// When a channel without a driver was first seen.
    driverless: Mutex<Option<Instant>>,
}

impl Console {
    /// Of the core with the directory `core` in sysfs, which is at `sys`; devices are in `dev`.
    pub(super) fn new(sys: &Path, dev: &Path, core: &Path) -> std::io::Result<Console> {
        let device = core.join("device").canonicalize()?;
        Ok(Console { sys: sys.to_owned(), dev: dev.to_owned(), device, driverless: Mutex::default() })
    }

    /// Opens it; `None` if there is none yet.
    pub(super) fn open(&self) -> std::io::Result<Option<Device>> {
        let opened = match (self.first("tty", "ttyRPMSG", |_| true), self.first("rpmsg", "rpmsg", is_console))
        {
            (Some(node), _) => {
                self.settle(&node);
                Device::terminal(&self.dev.join(node))
            }
            (None, Some(node)) => Device::endpoint(&self.dev.join(node)),
            (None, None) => {
                self.bind_channel();
                return Ok(None);
            }
        };
        match opened {
            // It has gone, or its node has not come yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Waits until the driver of a terminal is done with it. `rpmsg_tty` shows a terminal a moment before it can be
    /// written to, and who is faster takes Linux down (seen with 6.1). Binding its channel once more is refused, but only
    /// when the driver has it whole.
    fn settle(&self, node: &str) {
        let channel = self.sys.join("class/tty").join(node).join("device").canonicalize();
        if let Ok(channel) = channel
            && let Some(name) = channel.file_name().and_then(|name| name.to_str())
        {
            let _ = write(&channel.join("driver/bind"), name);
        }
    }

    /// The first device of a class that is this core's. Numbers are given anew as soon as they are free, so only its place
    /// in the tree says whose it is.
    fn first(&self, class: &str, prefix: &str, fits: impl Fn(&Path) -> bool) -> Option<String> {
        let class = self.sys.join("class").join(class);
        let mut names = numbered(&class, prefix).into_iter().map(|number| format!("{prefix}{number}"));
        names.find(|name| self.is_ours(&class.join(name)) && fits(&class.join(name)))
    }

    fn is_ours(&self, entry: &Path) -> bool {
        entry.canonicalize().is_ok_and(|place| place.starts_with(&self.device))
    }

    /// Has a console's channel that no driver takes made an endpoint's device.
    fn bind_channel(&self) {
        let Some(channel) = self.driverless_channel() else {
            *self.driverless.lock().unwrap() = None;
            return;
        };
        let since = *self.driverless.lock().unwrap().get_or_insert_with(Instant::now);
        let Some(name) = channel.file_name().and_then(|name| name.to_str()) else { return };
        if since.elapsed() < DRIVERLESS {
            return;
        }
        let driver = self.sys.join("bus/rpmsg/drivers").join(ENDPOINTS);
        let bound = write(&channel.join("driver_override"), ENDPOINTS)
            .and_then(|()| write(&driver.join("bind"), name));
        if let Err(error) = bound {
            log::warn!("{name} has no driver, neither rpmsg_tty nor rpmsg_char: {error}");
        }
    }

    fn driverless_channel(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.sys.join("bus/rpmsg/devices")).ok()?;
        let mut channels = entries.filter_map(|entry| Some(entry.ok()?.path()));
        channels
            .find(|channel| self.is_ours(channel) && is_console(channel) && !channel.join("driver").exists())
    }
}

/// True if the channel or endpoint of that directory is called as consoles are.
fn is_console(directory: &Path) -> bool {
    let name = std::fs::read_to_string(directory.join("name")).unwrap_or_default();
    name.trim_end() == RAW || name.starts_with(CONSOLE)
}

fn write(attribute: &Path, word: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(attribute)?.write_all(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree with two cores, and whatever is made in it.
    struct Tree {
        root: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Tree {
            let tree = Tree { root: tempfile::tempdir().expect("a directory") };
            for (core, device) in [("remoteproc0", "m4"), ("remoteproc1", "r5")] {
                tree.link(
                    &format!("class/remoteproc/{core}"),
                    &format!("devices/{device}/remoteproc/{core}"),
                );
                let target = tree.path(&format!("devices/{device}"));
                symlink(target, tree.path(&format!("class/remoteproc/{core}/device"))).expect("linked");
            }
            std::fs::create_dir_all(tree.path("dev")).expect("made");
            tree
        }

        fn path(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        /// Makes a directory, and a link to it.
        fn link(&self, link: &str, place: &str) {
            std::fs::create_dir_all(self.path(place)).expect("made");
            std::fs::create_dir_all(self.path(link).parent().expect("a parent")).expect("made");
            symlink(self.path(place), self.path(link)).expect("linked");
        }

        fn write(&self, path: &str, text: &str) {
            std::fs::write(self.path(path), text).expect("written");
        }

        fn console(&self, core: &str) -> Console {
            let core = self.path("class/remoteproc").join(core);
            Console::new(self.root.path(), &self.path("dev"), &core).expect("a core")
        }
    }

    #[test]
    fn a_terminal_is_found_by_its_place_not_by_its_number() {
        let tree = Tree::new();
        let console = tree.console("remoteproc1");
        assert!(console.open().expect("nothing there").is_none());
        tree.link("class/tty/ttyRPMSG0", "devices/m4/virtio0/virtio0.rpmsg-tty.1024.1024/tty/ttyRPMSG0");
        tree.link("class/tty/ttyRPMSG1", "devices/r5/virtio1/virtio1.rpmsg-tty.1024.1024/tty/ttyRPMSG1");
        let found = |console: &Console| console.first("tty", "ttyRPMSG", |_| true);
        assert_eq!(found(&console), Some("ttyRPMSG1".into()));
        assert_eq!(found(&tree.console("remoteproc0")), Some("ttyRPMSG0".into()));
        // Its node comes later.
        assert!(console.open().expect("no error").is_none());
    }

    #[test]
    fn an_endpoint_serves_where_there_is_no_terminal() {
        let tree = Tree::new();
        for (number, name) in [(0, "rpmsg-other"), (1, "rpmsg-raw")] {
            let place = format!("devices/m4/virtio0/{name}/rpmsg/rpmsg{number}");
            tree.link(&format!("class/rpmsg/rpmsg{number}"), &place);
            tree.write(&format!("{place}/name"), &format!("{name}\n"));
        }
        tree.link("class/rpmsg/rpmsg_ctrl0", "devices/m4/virtio0/rpmsg_ctrl0");
        let console = tree.console("remoteproc0");
        assert_eq!(console.first("rpmsg", "rpmsg", is_console), Some("rpmsg1".into()));
        tree.write("dev/rpmsg1", "");
        assert!(console.open().expect("opened").is_some());
    }

    #[test]
    fn a_channel_without_a_driver_is_given_one_in_the_end() {
        let tree = Tree::new();
        let place = "devices/m4/virtio0/virtio0.rpmsg-tty.1024.1024";
        tree.link("bus/rpmsg/devices/virtio0.rpmsg-tty.1024.1024", place);
        tree.write(&format!("{place}/name"), "rpmsg-tty\n");
        tree.write(&format!("{place}/driver_override"), "");
        std::fs::create_dir_all(tree.path("bus/rpmsg/drivers/rpmsg_chrdev")).expect("made");
        tree.write("bus/rpmsg/drivers/rpmsg_chrdev/bind", "");
        let console = tree.console("remoteproc0");
        assert!(console.open().expect("no error").is_none());
        let read = |path: &str| std::fs::read_to_string(tree.path(path)).expect("readable");
        assert_eq!(read("bus/rpmsg/drivers/rpmsg_chrdev/bind"), "");
        *console.driverless.lock().unwrap() = Instant::now().checked_sub(DRIVERLESS);
        assert!(console.open().expect("no error").is_none());
        assert_eq!(read(&format!("{place}/driver_override")), ENDPOINTS);
        assert_eq!(read("bus/rpmsg/drivers/rpmsg_chrdev/bind"), "virtio0.rpmsg-tty.1024.1024");
    }
}
