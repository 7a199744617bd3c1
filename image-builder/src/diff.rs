//! What changed from one image or firmware to another: labels, segments, resource table, `client.conf`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use firmware::elf::{Elf, Segment};
use serde::Serialize;

use crate::facts::{Contents, Firmware, Load, loaded};
use crate::image::Image;
use crate::inspect::keys;
use crate::subject::Subject;
use crate::text::{Address, printable};

/// All changes.
#[derive(Clone, Debug, Serialize)]
pub struct Differences {
    /// One for each thing that is not the same in both.
    pub changes: Vec<Change>,
}

/// One thing that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing.
    pub part: &'static str,
    /// Which one of them; empty if there is only one.
    pub key: String,
    /// What it was, if it was there.
    pub old: Option<String>,
    /// What it is, if it is there.
    pub new: Option<String>,
    /// Of bytes: how many differ, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

type Facts = BTreeMap<String, String>;

/// Compares two subjects. Firmware that is not packed is compared with the firmware of an image, and nothing else.
pub fn diff(old: &Subject, new: &Subject) -> Differences {
    let mut changes = Vec::new();
    if let (Some(from), Some(to)) = (&old.image, &new.image) {
        changes.extend(images(from, to));
        changes.extend(compare("client.conf", &conf(old), &conf(new)));
    }
    changes.extend(firmware(&old.firmware, &new.firmware));
    Differences { changes }
}

/// The things that differ between two sets of the same kind.
fn compare(part: &'static str, old: &Facts, new: &Facts) -> Vec<Change> {
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |key: &String| {
        let (old, new) = (old.get(key).cloned(), new.get(key).cloned());
        (old != new).then(|| Change { part, key: key.clone(), old, new, bytes: None })
    };
    all.into_iter().filter_map(change).collect()
}

fn images(old: &Image, new: &Image) -> Vec<Change> {
    let mut changes = compare("image", &about(old), &about(new));
    let labels = compare("label", &old.labels, &new.labels);
    let told = |change: &Change| {
        labels
            .iter()
            .any(|label| (&label.key, &label.old, &label.new) == (&change.key, &change.old, &change.new))
    };
    // The builder writes each label as an annotation too; once is enough.
    let mut annotations = compare("annotation", &old.annotations, &new.annotations);
    annotations.retain(|change| !told(change));
    changes.extend(labels);
    changes.extend(annotations);
    changes
}

fn about(image: &Image) -> Facts {
    let known = [
        ("digest", Some(image.digest.clone())),
        ("name", image.name.clone()),
        ("platform", Some(image.platform.clone())),
        ("created", image.created.clone()),
        ("entrypoint", Some(image.entrypoint.join(" "))),
    ];
    known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn conf(subject: &Subject) -> Facts {
    match &subject.client_conf {
        None => Facts::new(),
        Some(Ok((conf, _))) => keys(conf).into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        Some(Err(why)) => Facts::from([("refused".to_owned(), why.to_string())]),
    }
}

fn firmware(old: &[u8], new: &[u8]) -> Vec<Change> {
    let ((from, from_elf), (to, to_elf)) = (Firmware::of(old), Firmware::of(new));
    let mut changes = compare("firmware", &file_facts(&from), &file_facts(&to));
    changes.extend(compare("segment", &segments(&from), &segments(&to)));
    if let (Ok(from_elf), Ok(to_elf)) = (from_elf, to_elf) {
        changes.extend(contents((&from_elf, old), (&to_elf, new)));
    }
    changes.extend(compare("resource table entry", &entries(&from), &entries(&to)));
    changes.extend(compare("service", &services(&from), &services(&to)));
    changes
}

fn file_facts(firmware: &Firmware) -> Facts {
    let contents = firmware.contents.as_ref();
    let known = [
        ("size", Some(format!("{} bytes", firmware.bytes))),
        ("sha-256", Some(firmware.sha256.clone())),
        ("refused", firmware.refused.clone()),
        ("entry", contents.map(|contents| contents.entry.to_string())),
        ("resource table", contents.map(|contents| contents.resource_table.address.to_string())),
    ];
    known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// One value for each of what a firmware has several of.
fn each(firmware: &Firmware, facts: impl FnOnce(&Contents) -> Facts) -> Facts {
    firmware.contents.as_ref().map(facts).unwrap_or_default()
}

fn segments(firmware: &Firmware) -> Facts {
    let shape = |load: &Load| (load.address.to_string(), load.shape());
    each(firmware, |contents| contents.segments.iter().map(shape).collect())
}

fn entries(firmware: &Firmware) -> Facts {
    each(firmware, |contents| {
        let entries = contents.resource_table.entries.iter();
        entries.map(|entry| (format!("{:#x}", entry.offset), entry.entry.on_one_line())).collect()
    })
}

fn services(firmware: &Firmware) -> Facts {
    each(firmware, |contents| {
        contents.services.iter().map(|name| (name.clone(), "named".to_owned())).collect()
    })
}

/// Segments at the same address whose bytes differ.
fn contents(old: (&Elf, &[u8]), new: (&Elf, &[u8])) -> Vec<Change> {
    let find = |addr: u64| new.0.segments().iter().find(move |segment| segment.addr == addr);
    let pairs = old.0.segments().iter().filter_map(|segment| Some((segment, find(segment.addr)?)));
    pairs.filter_map(|(from, to)| content(from, loaded(from, old.1), loaded(to, new.1))).collect()
}

fn content(segment: &Segment, old: &[u8], new: &[u8]) -> Option<Change> {
    let both = || old.iter().zip(new);
    let first = both().position(|(old, new)| old != new);
    let differ = both().filter(|(old, new)| old != new).count();
    let common = old.len().min(new.len());
    let first = first.or_else(|| (old.len() != new.len()).then_some(common))?;
    let at = Address(segment.addr.saturating_add(first as u64));
    let bytes = format!("{differ} of {common} bytes differ, the first difference is at {at}");
    let hash = |bytes| Some(format!("sha256:{}", firmware::checksum::sha256(bytes)));
    let key = Address(segment.addr).to_string();
    Some(Change { part: "bytes of segment", key, old: hash(old), new: hash(new), bytes: Some(bytes) })
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} {}", self.part, printable(&self.key));
        match (&self.bytes, self.old.as_deref().map(printable), self.new.as_deref().map(printable)) {
            (Some(bytes), ..) => write!(f, "changed  {name}: {bytes}"),
            (None, Some(old), Some(new)) => write!(f, "changed  {name}: {old} -> {new}"),
            (None, Some(old), None) => write!(f, "removed  {name}: {old}"),
            (None, None, new) => write!(f, "added    {name}: {}", new.unwrap_or_default()),
        }
    }
}
