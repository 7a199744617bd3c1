//! What each pedestal can do with what OCI says.

use std::fmt;

/// How a core is driven, as far as resources are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Emulated by a process of the host.
    Qemu,
    /// A core of the board that Linux gave away: under `/dev/mcs`, remoteproc, or one of `micad`'s that is not Xen.
    Core,
    /// A Xen domain of `micad`.
    Xen,
}

impl Driver {
    /// All of them.
    pub const ALL: [Driver; 3] = [Driver::Qemu, Driver::Core, Driver::Xen];

    /// That of a pedestal, by the pedestal's name. What `micad` drives without Xen is a core of the board.
    pub fn of(pedestal: &str) -> Driver {
        match pedestal {
            "xen" => Driver::Xen,
            "qemu" | "fake" => Driver::Qemu,
            _ => Driver::Core,
        }
    }

    /// Fields of OCI's `linux.resources` that mean something to it when the container is made.
    pub const fn honours(self) -> &'static [&'static str] {
        match self {
            Driver::Qemu => {
                &["cpu.cpus", "cpu.period", "cpu.quota", "cpu.shares", "memory.limit", "memory.swap"]
            }
            Driver::Core => &["memory.limit"],
            // Its memory is never swapped, so that any limit of swap is met; containerd's CRI gives one with each of memory.
            Driver::Xen => &[
                "cpu.cpus",
                "cpu.period",
                "cpu.quota",
                "cpu.shares",
                "memory.limit",
                "memory.reservation",
                "memory.swap",
            ],
        }
    }

    /// Those of them that can be changed later.
    pub const fn changes(self) -> &'static [&'static str] {
        match self {
            Driver::Core => &[],
            Driver::Qemu | Driver::Xen => self.honours(),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::Qemu => "an emulated core",
            Driver::Core => "a core of the board",
            Driver::Xen => "a xen domain",
        })
    }
}
