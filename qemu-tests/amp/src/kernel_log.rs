//! What the kernel says: `/dev/kmsg`, a record per read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use rustix::fs::OFlags;

/// Levels up to this one are complaints: warnings, errors and worse.
const WARNING: u32 = 4;
/// Longest record that the kernel hands out.
const RECORD: usize = 8192;

/// Reads on from where it was made.
pub struct KernelLog {
    file: File,
}

impl KernelLog {
    /// The messages from now on.
    pub fn from_now() -> Result<KernelLog> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let mut file = options.open("/dev/kmsg").context("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(KernelLog { file })
    }

    /// Warnings and worse since the last call.
    pub fn warnings(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut record = [0; RECORD];
        loop {
            match self.file.read(&mut record) {
                Ok(len) => found.extend(warning(&String::from_utf8_lossy(&record[..len]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(found),
                // Overwritten before it was read: the next one is there.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
    }
}

/// The text of a record `facility and level,sequence,time,flags;text\n`, if it is a complaint.
fn warning(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    // The facility lies above the three bits of the level; 0 is the kernel's own.
    let complaint = priority <= WARNING;
    complaint.then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complaints_of_the_kernel_count() {
        assert_eq!(warning("4,1,2,-;loose\n SUBSYSTEM=x\n").as_deref(), Some("loose"));
        assert_eq!(warning("3,1,2,-;worse\n").as_deref(), Some("worse"));
        assert_eq!(warning("6,1,2,-;fine\n"), None);
        assert_eq!(warning("12,1,2,-;somebody's\n"), None);
    }
}
