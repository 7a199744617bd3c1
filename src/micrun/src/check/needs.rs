//! What each pedestal needs.

use std::ffi::OsStr;
use std::path::Path;

use firmware::board::{Board, Machine, Pedestal};

use super::Missing;
use super::host::{Host, output};

/// The daemon's socket (MICA ABI, 1.1).
const MICAD: &str = "/run/mica/mica-create.socket";
const QEMU: &str = "qemu-system-aarch64";
/// The oldest QEMU that is tested, and the oldest that has the machine `raspi4b`.
const QEMU_OLDEST: (u32, u32) = (7, 2);
const QEMU_RASPI4B: (u32, u32) = (9, 0);

/// All that is missing, nothing if the pedestal can be used.
pub(super) fn missing(host: &Host, board: &Board, pedestal: Pedestal) -> Vec<Missing> {
    let mut found = Found::default();
    if !board.pedestals.contains(&pedestal) {
        found.lacks("a core that it could drive", "the board does not have this pedestal");
        return found.missing;
    }
    match pedestal {
        Pedestal::Qemu => qemu(host, board, &mut found),
        Pedestal::Mcs => mcs(host, board, &mut found),
        Pedestal::Remoteproc => remoteproc(host, board, &mut found),
        Pedestal::Micad => {
            found.unless(host.has_socket(MICAD), MICAD, "start openEuler's daemon (systemctl start micad)");
        }
    }
    found.missing
}

#[derive(Default)]
struct Found {
    missing: Vec<Missing>,
}

impl Found {
    fn lacks(&mut self, what: &str, remedy: &str) {
        self.missing.push(Missing { what: what.to_owned(), remedy: remedy.to_owned() });
    }

    fn unless(&mut self, there: bool, what: &str, remedy: &str) {
        if !there {
            self.lacks(what, remedy);
        }
    }

    fn options(&mut self, host: &Host, options: &[&str]) {
        for option in options.iter().filter(|option| host.lacks_option(option)) {
            self.lacks(&format!("kernel option CONFIG_{option}"), "build the kernel with it");
        }
    }
}

fn qemu(host: &Host, board: &Board, found: &mut Found) {
    let Some(program) = host.emulator().or_else(|| host.program(QEMU)) else {
        let remedy = format!("install it (Debian: qemu-system-arm), or name it in {}", super::QEMU_VARIABLE);
        return found.lacks(QEMU, &remedy);
    };
    let emulated = board.emulated_by.as_deref().and_then(|name| Board::installed(host.root(), name).ok());
    let raspberry = emulated.as_ref().unwrap_or(board).machine == Some(Machine::Raspi4b);
    let (oldest, what) = if raspberry { (QEMU_RASPI4B, " for machine raspi4b") } else { (QEMU_OLDEST, "") };
    match version(&program) {
        Some(version) if version >= oldest => {}
        Some((major, minor)) => {
            let newer =
                if oldest.1 == 0 { oldest.0.to_string() } else { format!("{}.{}", oldest.0, oldest.1) };
            let what = format!("QEMU {newer} or newer{what} (this is {major}.{minor})");
            found.lacks(&what, "install a newer one (Debian 12: qemu-system-arm of bookworm-backports)");
        }
        None => found.lacks(&format!("a {} that runs", program.display()), "install it anew"),
    }
}

/// Reads `QEMU emulator version 10.0.2 (Debian …)`.
fn version(program: &Path) -> Option<(u32, u32)> {
    let text = output(program, &[OsStr::new("--version")])?;
    let mut numbers = text.split("version ").nth(1)?.split(|end: char| !end.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn mcs(host: &Host, board: &Board, found: &mut Found) {
    found.options(host, &["HOTPLUG_CPU"]);
    let given = host.text("/sys/module/mcs_km/parameters/rmem_base").is_some_and(|base| base.trim() != "0");
    if !given {
        let overlay = remedy(board, board.device_tree.mcs.as_deref());
        memory(host, board, &overlay, found);
        let node = has_node(host, "oe,mcs_remoteproc");
        found.unless(node, "the device tree's node oe,mcs_remoteproc", &overlay);
    }
    found.unless(host.has("/dev/mcs"), "/dev/mcs", "load the kernel module mcs_km (modprobe mcs_km)");
    core(host, board, found);
    found.unless(host.may_do_raw_io(), "the right CAP_SYS_RAWIO", "run containerd as root");
}

fn remoteproc(host: &Host, board: &Board, found: &mut Found) {
    found.options(host, &["HOTPLUG_CPU", "REMOTEPROC", "RPMSG_VIRTIO"]);
    let named = |name: &String| name.starts_with("remoteproc");
    if host.names("/sys/class/remoteproc").iter().any(named) {
        return;
    }
    let overlay = remedy(board, board.device_tree.remoteproc.as_deref());
    memory(host, board, &overlay, found);
    found.unless(has_node(host, "micrun,psci-rproc"), "the device tree's node micrun,psci-rproc", &overlay);
    let driver = "load its driver (modprobe psci_rproc); its words in dmesg say what it does not like";
    found.lacks("a remote processor in /sys/class/remoteproc", driver);
    core(host, board, found);
}

/// How an overlay of the board takes effect.
fn remedy(board: &Board, overlay: Option<&str>) -> String {
    match overlay {
        Some(overlay) => format!("apply the overlay {overlay}: {}", board.boot.device_tree),
        None => "reserve it in the board's device tree".to_owned(),
    }
}

/// Nodes of reserved memory are named after their addresses.
fn memory(host: &Host, board: &Board, remedy: &str, found: &mut Found) {
    let reserved = host.names("/proc/device-tree/reserved-memory");
    for region in [board.communication, board.ram] {
        let at = format!("@{:x}", region.base);
        let there = reserved.iter().any(|name| name.ends_with(&at));
        found.unless(there, &format!("reserved memory at {:#x}", region.base), remedy);
    }
}

/// True if a node below the root of the device tree is compatible with `name`.
fn has_node(host: &Host, name: &str) -> bool {
    host.names("/proc/device-tree").iter().any(|node| {
        let names = host.text(&format!("/proc/device-tree/{node}/compatible"));
        names.is_some_and(|names| names.split('\0').any(|found| found == name))
    })
}

/// The last core can be taken from Linux: it can go offline, or never came online.
fn core(host: &Host, board: &Board, found: &mut Found) {
    let last = board.default_cpu();
    let switchable = host.has(&format!("/sys/devices/system/cpu/cpu{last}/online"));
    let arguments = board.boot.kernel_arguments.join(" ");
    let remedy = format!("the kernel needs PSCI and CONFIG_HOTPLUG_CPU, or {arguments} on its command line");
    found.unless(switchable, "a core that can be taken offline", &remedy);
}
