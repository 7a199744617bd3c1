//! The state record: what a later process needs to clean up after this one, and to tell how the container ended.
//!
//! It lies in the bundle, so it belongs to one container of one namespace and goes when containerd removes the bundle.
//! Written to a temporary file, synced and renamed: a record is the old one or the new one, never half of one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::pedestal::{Held, Process};
use crate::reactor::Ended;

const NAME: &str = "micrun.json";
/// Environment variable, any value: records are not synced to disk, for nodes that are thrown away after a power cut.
const NO_SYNC: &str = "MICRUN_NO_SYNC";
const TEMPORARY: &str = ".micrun.json.new";
/// Raised when the fields change their meaning.
const VERSION: u32 = 1;
/// Far more than a record has.
const LIMIT: u64 = 64 << 10;

/// The record cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("state record {path}: {source}")]
pub struct StoreError {
    path: String,
    source: io::Error,
}

/// What is recorded of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The process that stands for the core or the pod, while it may run.
    pub process: Option<Process>,
    /// The core that outlives us, while it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    exit: Option<Exit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Exit {
    status: u32,
    /// Nanoseconds since 1970, UTC.
    at: u64,
}

impl Record {
    /// The record of a container that has not ended; `process` and `held` are what has to be ended with it.
    pub fn alive(process: Option<Process>, held: Option<Held>) -> Record {
        Record { version: VERSION, process, held, exit: None }
    }

    /// The record of a container that has ended.
    pub fn ended(ended: Ended) -> Record {
        let at = ended.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        Record { exit: Some(Exit { status: ended.status, at }), ..Record::alive(None, None) }
    }

    /// How the container ended, if it has.
    pub fn exit(&self) -> Option<Ended> {
        let Exit { status, at } = self.exit?;
        Some(Ended { status, at: UNIX_EPOCH + Duration::from_nanos(at) })
    }

    /// Writes the record into `bundle`.
    pub fn write(&self, bundle: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError { path: bundle.join(NAME).display().to_string(), source };
        self.replace(bundle).map_err(|error| {
            // A full disk leaves an empty file behind, which nobody would remove.
            let _ = std::fs::remove_file(bundle.join(TEMPORARY));
            failed(error)
        })
    }

    fn replace(&self, bundle: &Path) -> io::Result<()> {
        let temporary = bundle.join(TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        if std::env::var_os(NO_SYNC).is_none() {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, bundle.join(NAME))
    }

    /// Reads the record in `bundle`; `None` if there is none, or none that this version understands.
    pub fn read(bundle: &Path) -> Option<Record> {
        let file = File::open(bundle.join(NAME)).ok()?;
        let bytes = firmware::file::read(&file, LIMIT).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        (record.version == VERSION).then_some(record)
    }

    /// Removes the record from `bundle`.
    pub fn remove(bundle: &Path) {
        // Missing is fine, and containerd removes the bundle right afterwards.
        let _ = std::fs::remove_file(bundle.join(NAME));
    }
}

/// When an unknown end is said to have been: now.
pub fn unknown_end(status: u32) -> Ended {
    Ended { status, at: SystemTime::now() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Record::read(dir.path()), None);
        let running = Record::alive(Some(Process { pid: 7, start_time: 9 }), None);
        running.write(dir.path()).expect("written");
        assert_eq!(Record::read(dir.path()), Some(running));
        let ended = Ended { status: 3, at: UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123) };
        Record::ended(ended).write(dir.path()).expect("written");
        assert_eq!(Record::read(dir.path()).and_then(|record| record.exit()), Some(ended));
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
        Record::remove(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    }

    #[test]
    fn half_a_record_and_a_later_version_are_none() {
        let dir = tempfile::tempdir().expect("a directory");
        for text in ["{\"version\":1,", "{\"version\":2,\"process\":null,\"exit\":null}", "[]"] {
            std::fs::write(dir.path().join(NAME), text).expect("written");
            assert_eq!(Record::read(dir.path()), None, "{text}");
        }
    }
}
