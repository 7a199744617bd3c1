//! The table of keys.

use super::kind::Kind;
use firmware::client_conf::{self, MAX_INPUT_RATE};

/// Virtual CPUs that a core may have where the node says nothing.
pub(super) const MAX_VCPUS: u32 = 8;
/// More than any machine has.
const MOST_VCPUS: u32 = 1024;
const NUMBER: u32 = i32::MAX as u32;

/// A key, by its place in [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The board, by name.
    Board,
    /// The pedestal, by name.
    Pedestal,
    /// The pedestal's own file.
    PedestalConf,
    /// The core, or with Xen the cores.
    Cpu,
    /// The remote processor in Linux.
    Remoteproc,
    /// The RTOS.
    Os,
    /// Where the firmware is.
    FirmwarePath,
    /// The SHA-256 that the firmware must have.
    FirmwareHash,
    /// How the firmware is checked.
    FirmwareCheck,
    /// How long firmware may take to power itself off.
    StopTimeout,
    /// Whether a silent container is ended.
    AutoClose,
    /// After how long.
    AutoCloseTimeout,
    /// Most bytes of console input per second.
    InputRate,
    /// Whether calls of the firmware reach the network.
    RpcNetwork,
    /// Whether the pod stays in the host's network.
    HostNetwork,
    /// Log more.
    Debug,
    /// Most virtual CPUs of any core.
    MaxVcpus,
    /// Most virtual CPUs of this one.
    MaxVcpuNum,
    /// Memory where nobody says how much.
    DefaultMemory,
    /// Most memory of any core.
    MaxMemory,
    /// Memory of this one where it has no limit.
    MinMemory,
    /// Host CPUs for RTOS.
    RtosCpus,
    /// A core runs on the CPUs of its cpuset only.
    Pin,
    /// The containers of a pod share their CPUs.
    SharedPool,
    /// Updates of resources change nothing.
    Static,
    /// The image's virtual CPUs.
    ImageVcpus,
    /// The image's weight.
    ImageCpuWeight,
    /// The image's capacity.
    ImageCpuCapacity,
    /// The image's memory.
    ImageMemory,
    /// The image's most memory.
    ImageMaxMemory,
}

/// All that is to be known of a key.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The key.
    pub key: Key,
    /// Its name in the node's and the board's file, with the table; what is shown if it has none there.
    pub name: &'static str,
    /// True if the node may set it; the board then may too, unless it is the node's alone.
    pub node: bool,
    /// Its names in the INI files of the older micrun.
    pub ini: &'static [&'static str],
    /// Its name in the image's `client.conf`.
    pub conf: Option<client_conf::Key>,
    /// Its names as an annotation, without the prefix; the first one wins.
    pub annotations: &'static [&'static str],
    /// Its type.
    pub kind: Kind,
    /// Its value if nobody says anything; empty: it has none.
    pub default: &'static str,
    /// Which part of the shim reads it.
    pub reader: &'static str,
}

impl Spec {
    const fn new(key: Key, name: &'static str, kind: Kind, reader: &'static str) -> Spec {
        Spec { key, name, node: false, ini: &[], conf: None, annotations: &[], kind, default: "", reader }
    }

    const fn node(self) -> Spec {
        Spec { node: true, ..self }
    }

    const fn ini(self, ini: &'static [&'static str]) -> Spec {
        Spec { ini, ..self }
    }

    const fn conf(self, key: client_conf::Key) -> Spec {
        Spec { conf: Some(key), ..self }
    }

    const fn annotation(self, annotations: &'static [&'static str]) -> Spec {
        Spec { annotations, ..self }
    }

    const fn default(self, default: &'static str) -> Spec {
        Spec { default, ..self }
    }

    /// True if neither image nor container have a name for it.
    pub const fn is_the_nodes(&self) -> bool {
        self.conf.is_none() && self.annotations.is_empty()
    }
}

/// Every key there is, in the order of [`Key`].
pub const TABLE: [Spec; 30] = {
    use Key::*;
    use client_conf::Key as Conf;
    let vcpus = Kind::Number(0, MOST_VCPUS, "virtual CPUs");
    [
        Spec::new(Board, "board", Kind::Text, "pedestal").node().conf(Conf::Board).annotation(&["board"]),
        Spec::new(Pedestal, "pedestal", Kind::Text, "pedestal")
            .node()
            .conf(Conf::Pedestal)
            .annotation(&["ped.pedestal"]),
        Spec::new(PedestalConf, "pedestal_conf", Kind::Text, "pedestal")
            .conf(Conf::PedestalConf)
            .annotation(&["ped.conf"]),
        Spec::new(Cpu, "cpu", Kind::Text, "pedestal").conf(Conf::Cpu).annotation(&["container.cpu"]),
        Spec::new(Remoteproc, "remoteproc", Kind::Text, "pedestal").node().conf(Conf::Remoteproc),
        Spec::new(Os, "container.os", Kind::Text, "people").annotation(&["container.os"]),
        Spec::new(FirmwarePath, "container.firmware_path", Kind::Text, "container")
            .node()
            .ini(&["firmware_path"])
            .conf(Conf::ClientPath)
            .annotation(&["container.firmware_path"])
            .default(firmware::layout::FIRMWARE),
        Spec::new(FirmwareHash, "container.firmware_hash", Kind::Text, "container")
            .annotation(&["container.firmware_hash"]),
        Spec::new(FirmwareCheck, "container.firmware_check", Kind::Word(&["crc32", "sha256"]), "container")
            .conf(Conf::FirmwareCheck)
            .annotation(&["container.firmware_check"]),
        Spec::new(StopTimeout, "container.stop_timeout", Kind::Time, "reactor")
            .node()
            .conf(Conf::StopTimeout)
            .annotation(&["container.stop_timeout"])
            .default("10s"),
        Spec::new(AutoClose, "container.auto_close", Kind::Bool, "reactor")
            .node()
            .conf(Conf::AutoClose)
            .annotation(&["container.auto_close"])
            .default("false"),
        Spec::new(AutoCloseTimeout, "container.auto_close_timeout", Kind::Time, "reactor")
            .node()
            .conf(Conf::AutoCloseTimeout)
            .annotation(&["container.auto_close_timeout"]),
        Spec::new(
            InputRate,
            "console.input_rate",
            Kind::Number(1, MAX_INPUT_RATE, "bytes per second"),
            "console",
        )
        .node()
        .conf(Conf::ConsoleInputRate)
        .annotation(&["console.input_rate"]),
        Spec::new(RpcNetwork, "rpc.network", Kind::Bool, "rpc")
            .node()
            .annotation(&["rpc.network"])
            .default("false"),
        Spec::new(HostNetwork, "runtime.disable_new_netns", Kind::Bool, "namespaces")
            .annotation(&["runtime.disable_new_netns"])
            .default("false"),
        Spec::new(Debug, "debug", Kind::Bool, "logger, micad")
            .node()
            .ini(&["debug"])
            .conf(Conf::Debug)
            .annotation(&["runtime.debug"])
            .default("false"),
        Spec::new(MaxVcpus, "resources.max_vcpus", vcpus, "resources")
            .node()
            .ini(&["max_container_vcpu"])
            .default("8"),
        Spec::new(MaxVcpuNum, "container.max_vcpu_num", vcpus, "resources")
            .conf(Conf::MaxVcpu)
            .annotation(&["container.max_vcpu_num"]),
        Spec::new(DefaultMemory, "resources.default_memory", Kind::Memory, "resources")
            .node()
            .ini(&["container_minmem"]),
        Spec::new(MaxMemory, "resources.max_memory", Kind::Memory, "resources")
            .node()
            .ini(&["container_maxmem"]),
        Spec::new(MinMemory, "container.min_memory_mb", Kind::Memory, "resources")
            .annotation(&["container.min_memory_mb"]),
        Spec::new(RtosCpus, "resources.rtos_cpus", Kind::Cpus, "resources").node(),
        Spec::new(Pin, "resources.pin", Kind::Bool, "resources")
            .node()
            .annotation(&["runtime.enable_vcpus_pinning", "runtime.vcpu_pcpu_binding"])
            .default("true"),
        Spec::new(SharedPool, "resources.shared_cpu_pool", Kind::Bool, "sandbox")
            .node()
            .ini(&["shared_cpu_pool"])
            .default("false"),
        Spec::new(Static, "resources.static", Kind::Bool, "container")
            .node()
            .ini(&["static_resource"])
            .annotation(&["runtime.static_resource"])
            .default("false"),
        Spec::new(ImageVcpus, "image.vcpus", vcpus, "resources").conf(Conf::Vcpu),
        Spec::new(ImageCpuWeight, "image.cpu_weight", Kind::Number(0, 65535, "shares of 256"), "resources")
            .conf(Conf::CpuWeight),
        Spec::new(
            ImageCpuCapacity,
            "image.cpu_capacity",
            Kind::Number(0, NUMBER, "percent of one CPU"),
            "resources",
        )
        .conf(Conf::CpuCapacity),
        Spec::new(ImageMemory, "image.memory", Kind::Memory, "resources").conf(Conf::Memory),
        Spec::new(ImageMaxMemory, "image.max_memory", Kind::Memory, "resources").conf(Conf::MaxMemory),
    ]
};
