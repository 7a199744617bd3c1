//! MICA's description of a client: the INI file that `mica create` reads, section `[Mica]`. What micrun alone wants to
//! know stands in a section of its own, `[Micrun]`, which MICA ignores.
//!
//! The dialect is Python's `configparser`, which MICA's own tool uses, without what a client never needs:
//! interpolation, values over several lines and the `[DEFAULT]` section are refused, not misread. The lengths
//! are those of the message that creates a client in `micad`, which cuts longer texts silently.

mod check;
mod error;
mod key;
mod parse;
mod pedestal;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

pub use check::Check;
pub use error::{ConfError, Problem, Warning};
pub use key::{Key, Section};
pub use parse::MAX_LEN;
pub use pedestal::Pedestal;
pub use value::{MAX_INPUT_RATE, parse_cpu};

/// A client. Having one proves that every value suits its key and that the keys its pedestal needs are there.
///
/// Displayed in canonical form: one line per key that is set, in the order of [`Key::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientConf {
    name: String,
    client_path: String,
    cpu: Option<String>,
    pedestal: Option<Pedestal>,
    pedestal_conf: Option<String>,
    auto_boot: Option<bool>,
    debug: Option<bool>,
    vcpu: Option<u32>,
    max_vcpu: Option<u32>,
    cpu_weight: Option<u32>,
    cpu_capacity: Option<u32>,
    memory: Option<u32>,
    max_memory: Option<u32>,
    iomem: Option<String>,
    network: Option<String>,
    console_input_rate: Option<u32>,
    stop_timeout: Option<String>,
    auto_close: Option<bool>,
    auto_close_timeout: Option<String>,
    board: Option<String>,
    remoteproc: Option<String>,
    firmware_crc32: Option<String>,
    firmware_sha256: Option<String>,
    firmware_check: Option<Check>,
}

impl ClientConf {
    /// A bare-metal client with nothing but a name and firmware.
    pub fn new(name: &str, client_path: &str) -> Result<ClientConf, Problem> {
        let mut conf = ClientConf::default();
        conf.set(Key::Name, name)?;
        conf.set(Key::ClientPath, client_path)?;
        Ok(conf)
    }

    /// Reads a file of at most [`MAX_LEN`] bytes.
    pub fn parse(text: &str) -> Result<(ClientConf, Vec<Warning>), ConfError> {
        parse::parse(text)
    }

    /// Sets one key from the text that a file has for it. An empty text unsets a key that has a default.
    ///
    /// An unknown pedestal is bare metal, as in MICA; [`ClientConf::parse`] warns of it.
    pub fn set(&mut self, key: Key, text: &str) -> Result<(), Problem> {
        match key {
            Key::Name => self.name = value::name(text)?,
            Key::ClientPath => self.client_path = value::mandatory(key, text)?,
            Key::Cpu => self.cpu = value::text(key, text)?,
            Key::Pedestal => self.pedestal = value::pedestal(text)?,
            Key::PedestalConf => self.pedestal_conf = value::text(key, text)?,
            Key::AutoBoot => self.auto_boot = Some(value::boolean(key, text)?),
            Key::Debug => self.debug = Some(value::boolean(key, text)?),
            Key::Vcpu => self.vcpu = value::number(key, text)?,
            Key::MaxVcpu => self.max_vcpu = value::number(key, text)?,
            Key::CpuWeight => self.cpu_weight = value::number(key, text)?,
            Key::CpuCapacity => self.cpu_capacity = value::number(key, text)?,
            Key::Memory => self.memory = value::number(key, text)?,
            Key::MaxMemory => self.max_memory = value::number(key, text)?,
            Key::IoMem => self.iomem = value::text(key, text)?,
            Key::Network => self.network = value::text(key, text)?,
            Key::ConsoleInputRate => self.console_input_rate = Some(value::input_rate(text)?),
            Key::StopTimeout => self.stop_timeout = value::time(key, text)?,
            Key::AutoClose => self.auto_close = Some(value::boolean(key, text)?),
            Key::AutoCloseTimeout => self.auto_close_timeout = value::time(key, text)?,
            Key::Board => self.board = value::text(key, text)?,
            Key::Remoteproc => self.remoteproc = value::text(key, text)?,
            Key::FirmwareCrc32 => self.firmware_crc32 = Some(value::checksum(key, 8, text)?),
            Key::FirmwareSha256 => self.firmware_sha256 = Some(value::checksum(key, 64, text)?),
            Key::FirmwareCheck => self.firmware_check = Some(value::check(text)?),
        }
        Ok(())
    }

    /// The value of a key in canonical form; `None` if it is not set.
    pub fn get(&self, key: Key) -> Option<String> {
        let boolean = |value: Option<bool>| value.map(|on| if on { "yes" } else { "no" }.to_owned());
        let number = |value: Option<u32>| value.map(|number| number.to_string());
        match key {
            Key::Name => Some(self.name.clone()),
            Key::ClientPath => Some(self.client_path.clone()),
            Key::Cpu => self.cpu.clone(),
            Key::Pedestal => self.pedestal.map(|pedestal| pedestal.as_str().to_owned()),
            Key::PedestalConf => self.pedestal_conf.clone(),
            Key::AutoBoot => boolean(self.auto_boot),
            Key::Debug => boolean(self.debug),
            Key::Vcpu => number(self.vcpu),
            Key::MaxVcpu => number(self.max_vcpu),
            Key::CpuWeight => number(self.cpu_weight),
            Key::CpuCapacity => number(self.cpu_capacity),
            Key::Memory => number(self.memory),
            Key::MaxMemory => number(self.max_memory),
            Key::IoMem => self.iomem.clone(),
            Key::Network => self.network.clone(),
            Key::ConsoleInputRate => number(self.console_input_rate),
            Key::StopTimeout => self.stop_timeout.clone(),
            Key::AutoClose => boolean(self.auto_close),
            Key::AutoCloseTimeout => self.auto_close_timeout.clone(),
            Key::Board => self.board.clone(),
            Key::Remoteproc => self.remoteproc.clone(),
            Key::FirmwareCrc32 => self.firmware_crc32.clone(),
            Key::FirmwareSha256 => self.firmware_sha256.clone(),
            Key::FirmwareCheck => self.firmware_check.map(|check| check.as_str().to_owned()),
        }
    }

    /// Name of the client: 1 to 65 of `A-Z a-z 0-9 . _ -`, safe as a file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Path of the firmware.
    pub fn client_path(&self) -> &str {
        &self.client_path
    }

    /// `CPU` as it stands in the file; what it means depends on the pedestal.
    pub fn cpu(&self) -> Option<&str> {
        self.cpu.as_deref()
    }

    /// The one core that bare metal and QEMU need, a C integer such as `3`, `03` or `0x3`; `None` if none is
    /// set.
    pub fn single_cpu(&self) -> Result<Option<u32>, Problem> {
        self.cpu().map(parse_cpu).transpose()
    }

    /// The pedestal that the file asks for.
    pub fn pedestal(&self) -> Option<Pedestal> {
        self.pedestal
    }

    /// Jailhouse: cell file. Xen: kernel image. Hetero: raw binary.
    pub fn pedestal_conf(&self) -> Option<&str> {
        self.pedestal_conf.as_deref()
    }

    /// `mica create` starts the client at once.
    pub fn auto_boot(&self) -> bool {
        self.auto_boot.unwrap_or(false)
    }

    /// `micad` offers a debugger for the client.
    pub fn debug(&self) -> bool {
        self.debug.unwrap_or(false)
    }

    /// Xen: virtual CPUs at the start.
    pub fn vcpu(&self) -> Option<u32> {
        self.vcpu
    }

    /// Xen: most virtual CPUs.
    pub fn max_vcpu(&self) -> Option<u32> {
        self.max_vcpu
    }

    /// Xen: share of CPU time, 1 to 65535.
    pub fn cpu_weight(&self) -> Option<u32> {
        self.cpu_weight
    }

    /// Xen: limit of CPU time in percent of one CPU; 0 is no limit.
    pub fn cpu_capacity(&self) -> Option<u32> {
        self.cpu_capacity
    }

    /// Xen: memory in MiB at the start.
    pub fn memory(&self) -> Option<u32> {
        self.memory
    }

    /// Xen: most memory in MiB.
    pub fn max_memory(&self) -> Option<u32> {
        self.max_memory
    }

    /// Xen: `iomem` list in `xl`'s own syntax.
    pub fn iomem(&self) -> Option<&str> {
        self.iomem.as_deref()
    }

    /// Xen: text for `network`.
    pub fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    /// CRC-32 of the firmware, in the form of [`crate::checksum::crc32`].
    pub fn firmware_crc32(&self) -> Option<&str> {
        self.firmware_crc32.as_deref()
    }

    /// SHA-256 of the firmware, 64 lower-case hex digits.
    pub fn firmware_sha256(&self) -> Option<&str> {
        self.firmware_sha256.as_deref()
    }

    /// How the firmware is to be checked before it is loaded.
    pub fn firmware_check(&self) -> Option<Check> {
        self.firmware_check
    }

    /// Proves that the keys are there that the pedestal cannot do without, as MICA's tool and pedestals demand them.
    /// To be asked after [`ClientConf::set`]; [`ClientConf::parse`] has asked.
    pub fn check_pedestal(&self) -> Result<(), Problem> {
        let Some(pedestal) = self.pedestal else { return Ok(()) };
        for key in pedestal.needs() {
            if self.get(*key).is_none() {
                return Err(Problem::Needed { key: *key, pedestal });
            }
        }
        if pedestal == Pedestal::Hetero && self.cpu() != Some("riscv") {
            return Err(Problem::HeteroCpu(self.cpu().unwrap_or_default().to_owned()));
        }
        Ok(())
    }
}

impl fmt::Display for ClientConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in Section::ALL {
            let set = || Key::of(section).filter_map(|key| Some((key, self.get(key)?)));
            if set().next().is_some() {
                writeln!(f, "[{section}]")?;
            }
            for (key, value) in set() {
                // Python's configparser takes a single % as the start of a reference.
                writeln!(f, "{key}={}", value.replace('%', "%%"))?;
            }
        }
        Ok(())
    }
}
