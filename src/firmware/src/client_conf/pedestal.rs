//! The pedestals: what isolates a client and drives its core.

use std::fmt;

use super::key::Key;
use crate::text::edits;

/// A pedestal by the word that `client.conf` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pedestal {
    /// `baremetal`: a core of the same processor. In MICA every word it does not know means this.
    Baremetal,
    /// `jailhouse`: a cell of the Jailhouse hypervisor.
    Jailhouse,
    /// `xen`: a Xen domain.
    Xen,
    /// `hetero`: a core of another architecture, a RISC-V one.
    Hetero,
    /// `qemu`: an emulated core. micrun's own word; MICA takes it for bare metal.
    Qemu,
}

impl Pedestal {
    /// All pedestals.
    pub const ALL: [Pedestal; 5] =
        [Pedestal::Baremetal, Pedestal::Jailhouse, Pedestal::Xen, Pedestal::Hetero, Pedestal::Qemu];

    /// The word, case-sensitive as in MICA.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pedestal::Baremetal => "baremetal",
            Pedestal::Jailhouse => "jailhouse",
            Pedestal::Xen => "xen",
            Pedestal::Hetero => "hetero",
            Pedestal::Qemu => "qemu",
        }
    }

    /// True if the client runs on one core of its own, named by `CPU`.
    pub const fn takes_one_cpu(self) -> bool {
        matches!(self, Pedestal::Baremetal | Pedestal::Qemu)
    }

    /// Keys that must be there with this pedestal.
    pub(super) const fn needs(self) -> &'static [Key] {
        match self {
            Pedestal::Baremetal | Pedestal::Qemu => &[],
            Pedestal::Jailhouse => &[Key::PedestalConf],
            Pedestal::Hetero => &[Key::PedestalConf, Key::Cpu],
            Pedestal::Xen => &[Key::PedestalConf, Key::Vcpu, Key::Memory],
        }
    }

    pub(super) fn find(word: &str) -> Option<Pedestal> {
        Pedestal::ALL.into_iter().find(|pedestal| pedestal.as_str() == word)
    }

    /// The pedestal that is most like a misspelt one.
    pub(super) fn nearest(word: &str) -> Pedestal {
        let distance = |pedestal: &Pedestal| edits(pedestal.as_str(), &word.to_ascii_lowercase());
        Pedestal::ALL.into_iter().min_by_key(distance).unwrap_or(Pedestal::Baremetal)
    }
}

impl fmt::Display for Pedestal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
