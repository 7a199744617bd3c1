//! The tests, a file for each thing that is tested.

mod containers;
mod mcs_device;
mod mcs_firmware;

use std::io;

use anyhow::{Result, bail};

use crate::suite::Test;

/// All of them, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Test> {
    [mcs_device::TESTS, mcs_firmware::TESTS, containers::TESTS].into_iter().flatten()
}

/// Fails unless the result is this error of the system.
fn refused<T>(what: &str, result: io::Result<T>, errno: rustix::io::Errno) -> Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(errno.raw_os_error()) => Ok(()),
        Err(error) => bail!("{what}: {error}, it should be {errno}"),
        Ok(_) => bail!("{what}: succeeded, it should be {errno}"),
    }
}
