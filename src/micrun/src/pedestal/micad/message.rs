//! The message that creates an instance: 1772 bytes, fields at fixed places (MICA ABI, section 1.2).
//!
//! micad cuts longer texts without a word, so they are refused here.

use firmware::client_conf::Pedestal;

/// Bytes of the message.
pub const LEN: usize = 1772;

/// What an instance is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Its name, which is that of its socket too.
    pub name: String,
    /// Path of the firmware, an ELF file, on the host.
    pub path: String,
    /// What isolates it.
    pub pedestal: Pedestal,
    /// Jailhouse: cell file. Xen: kernel image. Hetero: raw binary. Else nothing.
    pub pedestal_conf: String,
    /// micad offers a debugger.
    pub debug: bool,
    /// The core, or Xen's list of them.
    pub cpus: String,
    /// Xen: virtual CPUs.
    pub vcpus: Option<u32>,
    /// Xen: most virtual CPUs.
    pub max_vcpus: Option<u32>,
    /// Xen: share of CPU time.
    pub cpu_weight: Option<u32>,
    /// Xen: percent of one CPU.
    pub cpu_capacity: Option<u32>,
    /// Xen: MiB.
    pub memory: Option<u32>,
    /// Xen: MiB.
    pub max_memory: Option<u32>,
    /// Xen: list of memory for `xl`.
    pub iomem: String,
    /// Xen: text for `network`.
    pub network: String,
}

/// A field does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// More bytes than micad keeps.
    #[error("micad takes at most {most} bytes of {field}, and {value:?} has {len}")]
    Long {
        /// The field.
        field: &'static str,
        /// Its value, or the beginning of it.
        value: String,
        /// Its length.
        len: usize,
        /// The longest there can be.
        most: usize,
    },
    /// It would end early.
    #[error("{field} has a zero byte, where it would end for micad")]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// A number beyond what micad counts to.
    #[error("{field} is {value}, micad takes numbers up to 2147483647")]
    Large {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
}

impl Create {
    /// The bytes on the wire.
    pub fn encode(&self) -> Result<[u8; LEN], FieldError> {
        let mut message = Writer { bytes: [0; LEN], at: 0 };
        message.text::<66>("the name", &self.name)?;
        message.text::<256>("the firmware's path", &self.path)?;
        message.text::<16>("Pedestal", self.pedestal.as_str())?;
        message.text::<256>("the path of PedestalConf", &self.pedestal_conf)?;
        message.put(&[self.debug.into()]);
        message.text::<128>("CPU", &self.cpus)?;
        message.put(&[0]);
        message.number("VCPU", self.vcpus)?;
        message.number("MaxVCPU", self.max_vcpus)?;
        message.number("CPUWeight", self.cpu_weight)?;
        message.number("CPUCapacity", self.cpu_capacity)?;
        message.number("Memory", self.memory)?;
        message.number("MaxMemory", self.max_memory)?;
        message.text::<512>("IOMem", &self.iomem)?;
        message.text::<512>("Network", &self.network)?;
        Ok(message.bytes)
    }
}

struct Writer {
    bytes: [u8; LEN],
    at: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// A text in a field of `SIZE` bytes, with the zero that ends it.
    fn text<const SIZE: usize>(&mut self, field: &'static str, value: &str) -> Result<(), FieldError> {
        let most = SIZE - 1;
        if value.len() > most {
            let (len, value) = (value.len(), value.chars().take(80).collect());
            return Err(FieldError::Long { field, value, len, most });
        }
        if value.contains('\0') {
            return Err(FieldError::Zero { field });
        }
        self.put(value.as_bytes());
        self.at += SIZE - value.len();
        Ok(())
    }

    /// A number, or -1 for none.
    fn number(&mut self, field: &'static str, value: Option<u32>) -> Result<(), FieldError> {
        let number = value
            .map_or(Ok(-1), |value| i32::try_from(value).map_err(|_| FieldError::Large { field, value }))?;
        self.put(&number.to_ne_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> Create {
        Create {
            name: "hello".into(),
            path: "/lib/firmware/zephyr.elf".into(),
            pedestal: Pedestal::Baremetal,
            pedestal_conf: String::new(),
            debug: false,
            cpus: "3".into(),
            vcpus: None,
            max_vcpus: None,
            cpu_weight: None,
            cpu_capacity: None,
            memory: None,
            max_memory: None,
            iomem: String::new(),
            network: String::new(),
        }
    }

    /// Zeroes, but for these bytes.
    fn bytes(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut all = vec![0; 1772];
        for (at, part) in parts {
            all[*at..][..part.len()].copy_from_slice(part);
        }
        all
    }

    #[test]
    fn every_field_has_its_place() {
        let unset = [0xff; 24];
        let path = b"/lib/firmware/zephyr.elf".as_slice();
        let expected = bytes(&[(0, b"hello"), (66, path), (322, b"baremetal"), (595, b"3"), (724, &unset)]);
        assert_eq!(bare().encode().expect("fits").as_slice(), expected);
        let full = Create {
            pedestal: Pedestal::Xen,
            pedestal_conf: "/lib/firmware/zephyr.bin".into(),
            debug: true,
            cpus: "1-3".into(),
            vcpus: Some(1),
            max_vcpus: Some(2),
            cpu_weight: Some(0x0304),
            cpu_capacity: Some(0),
            memory: Some(0x0102_0304),
            max_memory: Some(i32::MAX as u32),
            iomem: "[\"ff000,1\"]".into(),
            network: "br0".into(),
            ..bare()
        };
        let numbers = [1, 2, 0x0304, 0, 0x0102_0304, i32::MAX].map(i32::to_le_bytes).concat();
        let expected = bytes(&[
            (0, b"hello"),
            (66, path),
            (322, b"xen"),
            (338, b"/lib/firmware/zephyr.bin"),
            (594, &[1]),
            (595, b"1-3"),
            (724, &numbers),
            (748, b"[\"ff000,1\"]"),
            (1260, b"br0"),
        ]);
        assert_eq!(full.encode().expect("fits").as_slice(), expected);
    }

    #[test]
    fn what_micad_would_cut_is_refused() {
        let refusal = |create: Create| create.encode().expect_err("refused").to_string();
        let long = "x".repeat(66);
        let sentence = refusal(Create { name: long.clone(), ..bare() });
        assert_eq!(sentence, format!("micad takes at most 65 bytes of the name, and {long:?} has 66"));
        assert!(Create { name: "x".repeat(65), ..bare() }.encode().is_ok());
        let sentence = refusal(Create { path: "/".repeat(256), ..bare() });
        assert!(sentence.starts_with("micad takes at most 255 bytes of the firmware's path"), "{sentence}");
        assert!(sentence.ends_with("has 256") && sentence.len() < 200, "{sentence}");
        let zero = "IOMem has a zero byte, where it would end for micad";
        assert_eq!(refusal(Create { iomem: "a\0b".into(), ..bare() }), zero);
        let large = "Memory is 2147483648, micad takes numbers up to 2147483647";
        assert_eq!(refusal(Create { memory: Some(1 << 31), ..bare() }), large);
        assert!(Create { iomem: "x".repeat(511), network: "x".repeat(511), ..bare() }.encode().is_ok());
        assert!(refusal(Create { cpus: "0,".repeat(64), ..bare() }).contains("at most 127 bytes of CPU"));
    }
}
