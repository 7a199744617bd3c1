//! The keys that MICA knows, and ours.

use std::fmt;

use crate::text::edits;

/// A section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What MICA reads.
    Mica,
    /// What only micrun reads: MICA's own tool ignores it.
    Micrun,
}

impl Section {
    /// All sections in canonical order.
    pub(super) const ALL: [Section; 2] = [Section::Mica, Section::Micrun];

    /// The name, case-sensitive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Section::Mica => "Mica",
            Section::Micrun => "Micrun",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `Name`, mandatory.
    Name,
    /// `ClientPath`, mandatory.
    ClientPath,
    /// `CPU`.
    Cpu,
    /// `Pedestal`.
    Pedestal,
    /// `PedestalConf`.
    PedestalConf,
    /// `AutoBoot`.
    AutoBoot,
    /// `Debug`.
    Debug,
    /// `VCPU`.
    Vcpu,
    /// `MaxVCPU`.
    MaxVcpu,
    /// `CPUWeight`.
    CpuWeight,
    /// `CPUCapacity`.
    CpuCapacity,
    /// `Memory`.
    Memory,
    /// `MaxMemory`.
    MaxMemory,
    /// `IOMem`.
    IoMem,
    /// `Network`.
    Network,
    /// `ConsoleInputRate` of `[Micrun]`.
    ConsoleInputRate,
    /// `StopTimeout` of `[Micrun]`.
    StopTimeout,
    /// `AutoClose` of `[Micrun]`.
    AutoClose,
    /// `AutoCloseTimeout` of `[Micrun]`.
    AutoCloseTimeout,
    /// `FirmwareCRC32` of `[Micrun]`.
    FirmwareCrc32,
    /// `FirmwareSHA256` of `[Micrun]`.
    FirmwareSha256,
    /// `FirmwareCheck` of `[Micrun]`.
    FirmwareCheck,
    /// `Board` of `[Micrun]`.
    Board,
    /// `Remoteproc` of `[Micrun]`.
    Remoteproc,
}

impl Key {
    /// All keys in canonical order, which is that of MICA's documentation, then ours.
    pub const ALL: [Key; 24] = [
        Key::Name,
        Key::ClientPath,
        Key::Cpu,
        Key::Pedestal,
        Key::PedestalConf,
        Key::AutoBoot,
        Key::Debug,
        Key::Vcpu,
        Key::MaxVcpu,
        Key::CpuWeight,
        Key::CpuCapacity,
        Key::Memory,
        Key::MaxMemory,
        Key::IoMem,
        Key::Network,
        Key::ConsoleInputRate,
        Key::StopTimeout,
        Key::AutoClose,
        Key::AutoCloseTimeout,
        Key::FirmwareCrc32,
        Key::FirmwareSha256,
        Key::FirmwareCheck,
        Key::Board,
        Key::Remoteproc,
    ];

    /// The key as MICA writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Key::Name => "Name",
            Key::ClientPath => "ClientPath",
            Key::Cpu => "CPU",
            Key::Pedestal => "Pedestal",
            Key::PedestalConf => "PedestalConf",
            Key::AutoBoot => "AutoBoot",
            Key::Debug => "Debug",
            Key::Vcpu => "VCPU",
            Key::MaxVcpu => "MaxVCPU",
            Key::CpuWeight => "CPUWeight",
            Key::CpuCapacity => "CPUCapacity",
            Key::Memory => "Memory",
            Key::MaxMemory => "MaxMemory",
            Key::IoMem => "IOMem",
            Key::Network => "Network",
            Key::ConsoleInputRate => "ConsoleInputRate",
            Key::StopTimeout => "StopTimeout",
            Key::AutoClose => "AutoClose",
            Key::AutoCloseTimeout => "AutoCloseTimeout",
            Key::FirmwareCrc32 => "FirmwareCRC32",
            Key::FirmwareSha256 => "FirmwareSHA256",
            Key::FirmwareCheck => "FirmwareCheck",
            Key::Board => "Board",
            Key::Remoteproc => "Remoteproc",
        }
    }

    /// The section in which the key stands.
    pub const fn section(self) -> Section {
        match self {
            Key::ConsoleInputRate
            | Key::StopTimeout
            | Key::AutoClose
            | Key::AutoCloseTimeout
            | Key::FirmwareCrc32
            | Key::FirmwareSha256
            | Key::FirmwareCheck
            | Key::Board
            | Key::Remoteproc => Section::Micrun,
            _ => Section::Mica,
        }
    }

    /// Most bytes of the value: a field of `micad`'s create message less its terminating zero. For keys that
    /// are not sent as text, the longest text that can mean anything.
    pub const fn max_len(self) -> usize {
        match self {
            Key::Name => 65,
            Key::ClientPath | Key::PedestalConf => 255,
            Key::Cpu => 127,
            Key::Pedestal
            | Key::AutoBoot
            | Key::Debug
            | Key::AutoClose
            | Key::FirmwareCrc32
            | Key::FirmwareCheck => 15,
            Key::Vcpu
            | Key::MaxVcpu
            | Key::CpuWeight
            | Key::CpuCapacity
            | Key::Memory
            | Key::MaxMemory
            | Key::ConsoleInputRate
            | Key::StopTimeout
            | Key::AutoCloseTimeout => 31,
            Key::Board => 40,
            Key::FirmwareSha256 | Key::Remoteproc => 64,
            Key::IoMem | Key::Network => 511,
        }
    }

    /// The keys of a section.
    pub(super) fn of(section: Section) -> impl Iterator<Item = Key> {
        Key::ALL.into_iter().filter(move |key| key.section() == section)
    }

    /// The key of that name in any case.
    pub(super) fn find(section: Section, name: &str) -> Option<Key> {
        Key::of(section).find(|key| key.as_str().eq_ignore_ascii_case(name))
    }

    /// The key that is most like a misspelt one.
    pub(super) fn nearest(section: Section, name: &str) -> Key {
        let distance = |key: &Key| edits(&key.as_str().to_ascii_lowercase(), &name.to_ascii_lowercase());
        Key::of(section).min_by_key(distance).unwrap_or(Key::Name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
