//! From a board file to a [`Board`]; `docs/reference/board.md` describes the file.

use std::ops::RangeInclusive;

use super::{Board, Boot, Console, Controller, DeviceTree, Interrupts, Machine, Pedestal, Region};
use crate::setting::{Setting, settings};
use crate::toml_file::{Document, LineError, Table, Value, nearest};

const KEYS: [&str; 14] = [
    "name",
    "title",
    "compatible",
    "platforms",
    "pedestals",
    "machine",
    "emulated-by",
    "cpus",
    "memory",
    "interrupts",
    "console",
    "device-tree",
    "boot",
    "settings",
];
/// Cores that a board may have; core 0 is Linux's.
const CPUS: RangeInclusive<u64> = 2..=64;
/// MICA's addresses have 32 bits.
const ADDRESSES: Region = Region { base: 0, len: 1 << 32 };
const PAGE: u64 = 0x1000;

/// A word that stands for a value.
pub(super) trait Word: Sized + Copy + 'static {
    /// All values, each with its word.
    const WORDS: &'static [(&'static str, Self)];
}

impl Board {
    /// Reads a board file and proves that what it says goes together.
    pub fn parse(text: &str) -> Result<Board, LineError> {
        let document = Document::parse(text)?;
        let file = document.root();
        file.only(&KEYS)?;
        let memory = file.need("memory")?;
        let memory_table = memory.table()?;
        memory_table.only(&["dram", "communication", "bulk", "rtos", "reserved"])?;
        let board = Board {
            name: name(&file.need("name")?)?,
            title: text_of(&file, "title")?,
            compatible: texts(&file, "compatible")?,
            platforms: texts(&file, "platforms")?,
            pedestals: pedestals(&file.need("pedestals")?)?,
            machine: file.get("machine").map(|value| word(&value)).transpose()?,
            emulated_by: file.get("emulated-by").map(|value| name(&value)).transpose()?,
            cpus: number(&file.need("cpus")?, CPUS)?,
            dram: regions(&memory_table.need("dram")?)?,
            communication: region(&memory_table.need("communication")?)?,
            ram: region(&memory_table.need("rtos")?)?,
            bulk: memory_table.get("bulk").map(|value| region(&value)).transpose()?,
            reserved: memory_table.get("reserved").map_or(Ok(Vec::new()), |value| reserved(&value))?,
            interrupts: interrupts(&file.need("interrupts")?.table()?)?,
            console: console(&file.need("console")?.table()?)?,
            device_tree: file
                .table("device-tree")?
                .map(|table| device_tree(&table))
                .transpose()?
                .unwrap_or_default(),
            settings: file.table("settings")?.map_or(Ok(Vec::new()), |table| board_settings(&table))?,
            boot: file.table("boot")?.map(|table| boot(&table)).transpose()?.unwrap_or_default(),
        };
        board.check_memory().map_err(|problem| memory.refused(&problem))?;
        board.check_emulation().map_err(|problem| file.refused(&problem))?;
        Ok(board)
    }

    /// Everything lies in the board's memory and apart from everything else, and each core has its window.
    fn check_memory(&self) -> Result<(), String> {
        let own = [("communication", self.communication), ("rtos", self.ram)];
        let bulk = self.bulk.map(|region| ("bulk", region));
        let reserved = self.reserved.iter().map(|(owner, region)| (owner.as_str(), *region));
        let all: Vec<(&str, Region)> = own.into_iter().chain(bulk).chain(reserved).collect();
        for (index, (what, region)) in all.iter().enumerate() {
            if !ADDRESSES.contains(*region) {
                return Err(format!("{what} memory ({region}) ends beyond 4 GiB, which MICA cannot express"));
            }
            if !self.dram.iter().any(|dram| dram.contains(*region)) {
                let dram = self.dram.iter().map(Region::to_string).collect::<Vec<_>>().join(", ");
                return Err(format!("{what} memory ({region}) lies outside dram ({dram})"));
            }
            if let Some((other, place)) = all[..index].iter().find(|(_, other)| other.overlaps(*region)) {
                return Err(format!("{what} memory ({region}) overlaps the {other} memory ({place})"));
            }
        }
        self.window(self.default_cpu()).map(drop).map_err(|_| {
            let needed = u64::from(self.cpus) * super::WINDOW_LEN;
            format!(
                "communication memory ({}) is shorter than {needed:#x}, a window per cpu",
                self.communication
            )
        })
    }

    fn check_emulation(&self) -> Result<(), &'static str> {
        if self.machine.is_some() && self.emulated_by.is_some() {
            return Err("\"machine\" and \"emulated-by\" exclude each other");
        }
        let emulated = self.machine.is_some() || self.emulated_by.is_some();
        if emulated == self.pedestals.contains(&Pedestal::Qemu) {
            return Ok(());
        }
        Err("pedestal qemu needs \"machine\" or \"emulated-by\", and they need it among \"pedestals\"")
    }
}

/// A name that can stand in a path, a label and a command line.
fn name(value: &Value<'_>) -> Result<String, LineError> {
    let text = value.text()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 40 || !text.bytes().all(plain) {
        let key = value.key();
        return Err(value.refused(&format!("{key:?} must be at most 40 of a-z, 0-9 and -")));
    }
    Ok(text.to_owned())
}

fn text_of(table: &Table<'_>, key: &str) -> Result<String, LineError> {
    Ok(table.need(key)?.text()?.to_owned())
}

fn texts(table: &Table<'_>, key: &str) -> Result<Vec<String>, LineError> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    Ok(value.texts()?.into_iter().map(str::to_owned).collect())
}

/// The value of a word.
fn word<T: Word>(value: &Value<'_>) -> Result<T, LineError> {
    of_word(value, value.text()?)
}

fn of_word<T: Word>(value: &Value<'_>, text: &str) -> Result<T, LineError> {
    let known = T::WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        let (key, text, nearest) = (value.key(), crate::text::excerpt(text), nearest(text, &words));
        value.refused(&format!("{key} {text:?} is unknown, did you mean {nearest}"))
    })
}

fn pedestals(value: &Value<'_>) -> Result<Vec<Pedestal>, LineError> {
    value.texts()?.into_iter().map(|text| of_word(value, text)).collect()
}

fn number(value: &Value<'_>, right: RangeInclusive<u64>) -> Result<u32, LineError> {
    let number = value.unsigned()?;
    if !right.contains(&number) {
        let (key, first, last) = (value.key(), right.start(), right.end());
        return Err(value.refused(&format!("{key:?} is {number}, it must be from {first} to {last}")));
    }
    Ok(number as u32)
}

fn region(value: &Value<'_>) -> Result<Region, LineError> {
    region_of(&value.table()?)
}

fn region_of(table: &Table<'_>) -> Result<Region, LineError> {
    table.only(&["base", "size"])?;
    let (base, size) = (table.need("base")?, table.need("size")?);
    for value in [&base, &size] {
        if !value.unsigned()?.is_multiple_of(PAGE) {
            return Err(value.refused(&format!("{:?} must be a multiple of {PAGE:#x}", value.key())));
        }
    }
    let region = Region { base: base.unsigned()?, len: size.unsigned()? };
    if region.len == 0 || region.base.checked_add(region.len).is_none() {
        return Err(size.refused(&format!("{:?} must be greater than 0 and end below 2^64", size.key())));
    }
    Ok(region)
}

fn regions(value: &Value<'_>) -> Result<Vec<Region>, LineError> {
    value.tables()?.iter().map(region_of).collect()
}

fn reserved(value: &Value<'_>) -> Result<Vec<(String, Region)>, LineError> {
    value.table()?.values().map(|value| Ok((value.name().to_owned(), region(&value)?))).collect()
}

fn interrupts(table: &Table<'_>) -> Result<Interrupts, LineError> {
    table.only(&["controller", "kick-sgi", "doorbell-sgi", "doorbell-spi"])?;
    let sgi = |key| number(&table.need(key)?, 0..=7);
    Ok(Interrupts {
        controller: word(&table.need("controller")?)?,
        kick_sgi: sgi("kick-sgi")?,
        doorbell_sgi: sgi("doorbell-sgi")?,
        doorbell_spi: table.get("doorbell-spi").map(|value| number(&value, 0..=987)).transpose()?,
    })
}

fn console(table: &Table<'_>) -> Result<Console, LineError> {
    table.only(&["service", "device"])?;
    Ok(Console { service: text_of(table, "service")?, device: text_of(table, "device")? })
}

fn device_tree(table: &Table<'_>) -> Result<DeviceTree, LineError> {
    table.only(&["mcs", "remoteproc", "base", "address-cells", "size-cells"])?;
    let cells = |key| table.get(key).map_or(Ok(2), |value| number(&value, 1..=2));
    let file = |key| table.get(key).map(|value| Ok(value.text()?.to_owned())).transpose();
    Ok(DeviceTree {
        mcs: file("mcs")?,
        remoteproc: file("remoteproc")?,
        base: file("base")?,
        address_cells: cells("address-cells")?,
        size_cells: cells("size-cells")?,
    })
}

fn boot(table: &Table<'_>) -> Result<Boot, LineError> {
    table.only(&["medium", "device-tree", "kernel-arguments"])?;
    Ok(Boot {
        medium: text_of(table, "medium")?,
        device_tree: text_of(table, "device-tree")?,
        kernel_arguments: texts(table, "kernel-arguments")?,
    })
}

impl Word for Pedestal {
    const WORDS: &'static [(&'static str, Pedestal)] = &[
        ("qemu", Pedestal::Qemu),
        ("mcs", Pedestal::Mcs),
        ("remoteproc", Pedestal::Remoteproc),
        ("micad", Pedestal::Micad),
    ];
}

impl Word for Machine {
    const WORDS: &'static [(&'static str, Machine)] =
        &[("virt", Machine::Virt), ("raspi4b", Machine::Raspi4b)];
}

impl Word for Controller {
    const WORDS: &'static [(&'static str, Controller)] =
        &[("gic-v2", Controller::GicV2), ("gic-v3", Controller::GicV3)];
}

/// What the board sets for the containers on it: names of `config.toml`.
fn board_settings(table: &Table<'_>) -> Result<Vec<Setting>, LineError> {
    let prefix = "settings.";
    let own = |setting: Setting| Setting { name: setting.name.replacen(prefix, "", 1), ..setting };
    Ok(settings(table)?.into_iter().map(own).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = r#"
name = "pump"
title = "Pump"
pedestals = ["mcs"]
cpus = 4
[memory]
dram = [{ base = 0x70000000, size = 0x10000000 }]
communication = { base = 0x70000000, size = 0x100000 }
rtos = { base = 0x7a000000, size = 0x1000000 }
[interrupts]
controller = "gic-v2"
kick-sgi = 7
doorbell-sgi = 7
[console]
service = "rpmsg-tty"
device = "ttyRPMSG"
"#;

    fn refusal(from: &str, to: &str) -> String {
        assert!(BOARD.contains(from), "{from}");
        Board::parse(&BOARD.replace(from, to)).expect_err(to).to_string()
    }

    #[test]
    fn a_key_that_means_nothing_is_refused() {
        assert!(Board::parse(BOARD).is_ok());
        assert_eq!(refusal("cpus =", "cpu ="), "line 5: key \"cpu\" is unknown, did you mean cpus");
        let nested = "line 12: key \"interrupts.kick_sgi\" is unknown, did you mean interrupts.kick-sgi";
        assert_eq!(refusal("kick-sgi", "kick_sgi"), nested);
        assert_eq!(refusal("title = \"Pump\"\n", ""), "line 1: \"title\" is missing");
    }

    #[test]
    fn a_word_that_means_nothing_is_refused() {
        assert_eq!(refusal("\"mcs\"", "\"msc\""), "line 4: pedestals \"msc\" is unknown, did you mean mcs");
        assert_eq!(
            refusal("gic-v2", "gicv3"),
            "line 11: interrupts.controller \"gicv3\" is unknown, did you mean gic-v3"
        );
        assert_eq!(refusal("cpus = 4", "cpus = 1"), "line 5: \"cpus\" is 1, it must be from 2 to 64");
        assert_eq!(
            refusal("cpus = 4", "cpus = -1"),
            "line 5: \"cpus\" is of type integer, it must be an integer from 0 to 2^64 - 1"
        );
        assert_eq!(
            refusal("\"pump\"", "\"../pump\""),
            "line 2: \"name\" must be at most 40 of a-z, 0-9 and -"
        );
    }

    #[test]
    fn memory_that_does_not_go_together_is_refused() {
        let wrong = [
            (
                "rtos = { base = 0x7a000000",
                "rtos = { base = 0x7a000010",
                "line 9: \"memory.rtos.base\" must be a multiple of 0x1000",
            ),
            (
                "size = 0x1000000 }",
                "size = 0 }",
                "line 9: \"memory.rtos.size\" must be greater than 0 and end below 2^64",
            ),
            (
                "rtos = { base = 0x7a000000",
                "rtos = { base = 0x70000000",
                "line 6: rtos memory (0x70000000..0x71000000) overlaps the communication memory (0x70000000..0x70100000)",
            ),
            (
                "rtos = { base = 0x7a000000",
                "rtos = { base = 0x80000000",
                "line 6: rtos memory (0x80000000..0x81000000) lies outside dram (0x70000000..0x80000000)",
            ),
            (
                "rtos = { base = 0x7a000000",
                "rtos = { base = 0xff800000",
                "line 6: rtos memory (0xff800000..0x100800000) ends beyond 4 GiB, which MICA cannot express",
            ),
            (
                "cpus = 4",
                "cpus = 9",
                "line 6: communication memory (0x70000000..0x70100000) is shorter than 0x120000, a window per cpu",
            ),
            (
                "rtos =",
                "bulk = { base = 0x700ff000, size = 0x1000 }\nrtos =",
                "line 6: bulk memory (0x700ff000..0x70100000) overlaps the communication memory (0x70000000..0x70100000)",
            ),
        ];
        for (from, to, expected) in wrong {
            assert_eq!(refusal(from, to), expected);
        }
    }

    #[test]
    fn settings_have_the_names_of_the_nodes_file() {
        let text = format!(
            "{}\n[settings]\ncontainer.stop_timeout = \"20s\"\n",
            include_str!("../../../../board-configs/rpi4.toml")
        );
        let board = Board::parse(&text).expect("a board");
        assert_eq!(
            (board.settings[0].name.as_str(), board.settings[0].text.as_str()),
            ("container.stop_timeout", "20s")
        );
    }

    #[test]
    fn emulation_needs_a_machine() {
        let needs = "line 1: pedestal qemu needs \"machine\" or \"emulated-by\", and they need it among \"pedestals\"";
        assert_eq!(refusal("\"mcs\"", "\"qemu\""), needs);
        assert_eq!(refusal("cpus", "machine = \"virt\"\ncpus"), needs);
        let both = "machine = \"virt\"\nemulated-by = \"a\"\ncpus";
        assert_eq!(refusal("cpus", both), "line 1: \"machine\" and \"emulated-by\" exclude each other");
    }
}
