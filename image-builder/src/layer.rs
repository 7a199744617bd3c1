//! The one layer of an image: a plain tar file, so that its digest is its DiffID too.

use std::io;

use firmware::layout;

use crate::ustar::Ustar;

/// The layer with firmware and `client.conf` at the paths of [`layout`]; `mtime` is the time of all entries.
pub fn build(firmware: &[u8], client_conf: &str, mtime: u64) -> io::Result<Vec<u8>> {
    let mut files = [(layout::FIRMWARE, firmware), (layout::CLIENT_CONF, client_conf.as_bytes())];
    files.sort_unstable_by_key(|(path, _)| *path);
    let mut tar = Ustar::new(mtime);
    for (path, bytes) in files {
        let path = path.trim_start_matches('/');
        for (slash, _) in path.match_indices('/') {
            tar.directory(path.get(..=slash).unwrap_or_default())?;
        }
        tar.file(path, bytes)?;
    }
    tar.finish()
}
