//! The tests, a file for each thing that is tested.

mod check;
mod containerd;
mod containers;
mod control_groups;
mod mcs_containers;
mod mcs_device;
mod mcs_firmware;
mod no_psci;
mod pedestal;
mod rproc_containers;
mod rproc_driver;

use std::io;

use anyhow::{Result, bail};

use crate::suite::Test;

/// All of them, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Test> {
    let firmware = [mcs_device::TESTS, mcs_firmware::TESTS, rproc_driver::TESTS, no_psci::TESTS];
    let shim = [
        check::TESTS,
        control_groups::TESTS,
        containers::TESTS,
        mcs_containers::TESTS,
        rproc_containers::TESTS,
    ];
    let whole: &[Test] = if containerd::is_here() { containerd::TESTS } else { &[] };
    firmware.into_iter().chain(shim).chain([whole]).flatten()
}

/// How often a core is started and stopped to show that nothing is left behind: 50 times in the guest with containerd, which
/// has the time.
pub fn lives() -> usize {
    if containerd::is_here() { 50 } else { 10 }
}

/// Fails unless the result is this error of the system.
fn refused<T>(what: &str, result: io::Result<T>, errno: rustix::io::Errno) -> Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(errno.raw_os_error()) => Ok(()),
        Err(error) => bail!("{what}: {error}, it should be {errno}"),
        Ok(_) => bail!("{what}: succeeded, it should be {errno}"),
    }
}
