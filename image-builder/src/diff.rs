//! What changed from one image or firmware to another: labels, segments, resource table, `client.conf`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufReader, Read};

use firmware::elf::{Elf, Segment};
use serde::Serialize;

use crate::content::Content;
use crate::facts::{Contents, Firmware, Load};
use crate::image::Image;
use crate::inspect::keys;
use crate::section::pieces;
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
pub fn diff(old: &Subject, new: &Subject) -> io::Result<Differences> {
    let mut changes = Vec::new();
    if let (Some(from), Some(to)) = (&old.image, &new.image) {
        changes.extend(images(from, to));
        changes.extend(compare("client.conf", &conf(old), &conf(new)));
    }
    changes.extend(firmware(&old.firmware, &new.firmware)?);
    Ok(Differences { changes })
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

fn firmware(old: &Content, new: &Content) -> io::Result<Vec<Change>> {
    let ((from, from_elf), (to, to_elf)) = (Firmware::of(old)?, Firmware::of(new)?);
    let mut changes = compare("firmware", &file_facts(&from), &file_facts(&to));
    changes.extend(compare("segment", &segments(&from), &segments(&to)));
    if let (Ok(from_elf), Ok(to_elf)) = (from_elf, to_elf) {
        let hashes = [&from, &to].map(hashes);
        for (from, to) in pairs(&from_elf, &to_elf) {
            changes.extend(content(from, to, [old, new], &hashes)?);
        }
    }
    changes.extend(compare("resource table entry", &entries(&from), &entries(&to)));
    changes.extend(compare("service", &services(&from), &services(&to)));
    Ok(changes)
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

/// Segments at the same address.
fn pairs<'a>(old: &'a Elf, new: &'a Elf) -> impl Iterator<Item = (&'a Segment, &'a Segment)> {
    let find = |addr: u64| new.segments().iter().find(move |segment| segment.addr == addr);
    old.segments().iter().filter_map(move |segment| Some((segment, find(segment.addr)?)))
}

/// The change of a segment's bytes, if they differ. `files` and `hashes` are those of the old firmware and of the new one.
fn content(
    old: &Segment,
    new: &Segment,
    files: [&Content; 2],
    hashes: &[BTreeMap<u64, &String>; 2],
) -> io::Result<Option<Change>> {
    let [old_hash, new_hash] =
        hashes.each_ref().map(|hashes| hashes.get(&old.addr).map(|hash| (*hash).clone()));
    if old_hash == new_hash {
        return Ok(None);
    }
    let [from, to] = files;
    let (differ, first) = differing(from.part(&old.file), to.part(&new.file))?;
    let common = old.file.len().min(new.file.len());
    let at = Address(old.addr.saturating_add(first.unwrap_or(common as u64)));
    let bytes = format!("{differ} of {common} bytes differ, the first difference is at {at}");
    let key = Address(old.addr).to_string();
    Ok(Some(Change { part: "bytes of segment", key, old: old_hash, new: new_hash, bytes: Some(bytes) }))
}

/// How many bytes differ, as far as both go, and the place of the first one that does.
fn differing(old: impl Read, new: impl Read) -> io::Result<(u64, Option<u64>)> {
    let mut new = BufReader::new(new);
    let (mut at, mut differ, mut first) = (0, 0, None);
    pieces(old, io::Error::from, |piece| {
        let mut other = Vec::new();
        new.by_ref().take(piece.len() as u64).read_to_end(&mut other)?;
        for (old, new) in piece.iter().zip(&other) {
            if old != new {
                differ += 1;
                first = first.or(Some(at));
            }
            at += 1;
        }
        Ok(())
    })?;
    Ok((differ, first))
}

/// The digests of the segments, by their addresses.
fn hashes(firmware: &Firmware) -> BTreeMap<u64, &String> {
    let loads = firmware.contents.iter().flat_map(|contents| &contents.segments);
    loads.map(|load| (load.address.0, &load.sha256)).collect()
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
