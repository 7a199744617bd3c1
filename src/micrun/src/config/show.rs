//! What a container was made with, for people: a text file in the bundle, which `micrun config show` prints.

use std::fmt::Write;
use std::path::Path;

use super::{Config, TABLE};
use crate::resources::Plan;

/// Its name in the bundle.
pub const FILE: &str = "micrun-config.txt";
/// What a key without a value has.
const NOTHING: &str = "-";

impl Config {
    /// One line per key: its name, its value, and who says so. A value with blanks is quoted.
    pub fn listing(&self) -> String {
        let rows = TABLE.iter().zip(&self.entries).map(|(spec, entry)| match entry {
            Some(entry) => (spec.name, entry.value.to_string(), entry.source.place.as_str()),
            None => (spec.name, NOTHING.to_owned(), NOTHING),
        });
        let mut text = String::new();
        for (name, value, place) in rows {
            line(&mut text, name, &value, place);
        }
        text
    }
}

fn line(text: &mut String, name: &str, value: &str, place: &str) {
    let value = if value.contains(' ') { format!("{value:?}") } else { value.to_owned() };
    // Writing to memory does not fail.
    let _ = writeln!(text, "{name:<30} {value:<20} {place}");
}

/// Writes what `config` and `plan` are into `bundle`. Nothing depends on it.
pub fn write(bundle: &Path, config: &Config, plan: &Plan) {
    let mut text = config.listing();
    let core = &plan.core;
    let cpus = core.cpus.as_ref().map_or(NOTHING.to_owned(), ToString::to_string);
    let limits = [
        ("limits.vcpus", core.vcpus.to_string()),
        ("limits.max_vcpus", core.max_vcpus.to_string()),
        ("limits.cpu_weight", core.cpu_weight.to_string()),
        ("limits.cpu_capacity", core.cpu_capacity.to_string()),
        ("limits.memory", core.memory.to_string()),
        ("limits.max_memory", core.max_memory.to_string()),
        ("limits.cpus", cpus),
    ];
    for (name, value) in limits {
        line(&mut text, name, &value, "linux.resources and the keys above");
    }
    if let Err(error) = std::fs::write(bundle.join(FILE), text) {
        log::warn!("{}: {error}", bundle.join(FILE).display());
    }
}
