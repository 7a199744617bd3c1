//! One tar file that is an OCI image layout and a Docker archive at once, written piece by piece.
//!
//! The name of a blob is its digest, which is known when all of it is written: its header is filled in afterwards.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use crate::hashing::Hashing;
use crate::oci::{self, Descriptor};
use crate::ustar;

/// An archive that is being written to a file from its start.
#[derive(Debug)]
pub struct Writer<'f> {
    out: BufWriter<&'f mut File>,
    mtime: u64,
    written: BTreeSet<String>,
}

impl<'f> Writer<'f> {
    /// An archive without blobs; `mtime` is the time of all entries.
    pub fn new(file: &'f mut File, mtime: u64) -> io::Result<Writer<'f>> {
        let mut out = BufWriter::new(file);
        for directory in ["blobs/", "blobs/sha256/"] {
            out.write_all(&ustar::directory(directory, mtime)?)?;
        }
        Ok(Writer { out, mtime, written: BTreeSet::new() })
    }

    /// Adds the blob that `fill` writes. If that fails, the archive is as before.
    pub fn blob<T, E: From<io::Error>>(
        &mut self,
        media_type: &str,
        fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, E>,
    ) -> Result<(Descriptor, T), E> {
        let begin = self.out.stream_position()?;
        self.out.write_all(&[0; ustar::BLOCK as usize])?;
        let mut hashing = Hashing::new(&mut self.out);
        let filled = fill(&mut hashing);
        let (digest, size, _) = hashing.finish();
        let descriptor = Descriptor::new(media_type, digest, size);
        match filled {
            Ok(value) if self.written.insert(descriptor.digest.clone()) => {
                self.complete(begin, &descriptor)?;
                Ok((descriptor, value))
            }
            other => {
                self.out.seek(SeekFrom::Start(begin))?;
                other.map(|value| (descriptor, value))
            }
        }
    }

    fn complete(&mut self, begin: u64, descriptor: &Descriptor) -> io::Result<()> {
        ustar::pad(&mut self.out, descriptor.size)?;
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(begin))?;
        self.out.write_all(&ustar::file(&descriptor.path(), descriptor.size, self.mtime)?)?;
        self.out.seek(SeekFrom::Start(end)).map(drop)
    }

    /// True if the archive has a blob of that digest.
    pub fn has(&self, digest: &str) -> bool {
        self.written.contains(digest)
    }

    /// Adds a blob that is in memory.
    pub fn document(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        let (descriptor, ()) = self.blob(media_type, |out| out.write_all(bytes))?;
        Ok(descriptor)
    }

    /// Adds `index.json`, Docker's `manifest.json` if there is one, and the end.
    pub fn finish(mut self, index: &[u8], docker: Option<&[u8]>) -> io::Result<()> {
        let files = [("index.json", Some(index)), ("manifest.json", docker)];
        let files = files.into_iter().chain([("oci-layout", Some(oci::LAYOUT.as_bytes()))]);
        for (path, bytes) in files.filter_map(|(path, bytes)| Some((path, bytes?))) {
            let len = bytes.len() as u64;
            self.out.write_all(&ustar::file(path, len, self.mtime)?)?;
            self.out.write_all(bytes)?;
            ustar::pad(&mut self.out, len)?;
        }
        ustar::end(&mut self.out)?;
        self.out.flush()?;
        // A blob that was given up may have reached further.
        let end = self.out.stream_position()?;
        self.out.get_ref().set_len(end)
    }
}
