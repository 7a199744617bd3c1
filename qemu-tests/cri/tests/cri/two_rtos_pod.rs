//! Two firmwares in one pod: one shim serves both, and neither knows of the other's end.

use anyhow::Result;
use cri_tests::{Network, Node};
use qemu_tests::{MICRUN, Version, under_every_containerd};

use crate::{GRACE, end_by};

under_every_containerd!(share_a_shim_and_no_fate_on_the_host_s_network, share_a_shim_and_no_fate_on_a_bridge);

fn share_a_shim_and_no_fate_on_the_host_s_network(version: Version) -> Result<()> {
    share_a_shim_and_no_fate(version, Network::Host)
}

fn share_a_shim_and_no_fate_on_a_bridge(version: Version) -> Result<()> {
    share_a_shim_and_no_fate(version, Network::Bridge)
}

fn share_a_shim_and_no_fate(version: Version, network: Network) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "two", network)?;
    let (crashing, staying) = (pod.rtos("crashing")?, pod.rtos("staying")?);
    assert_eq!(crashing.pid()?, staying.pid()?, "two shims");
    let mut console = staying.attach()?;
    console.greet()?;
    assert_eq!(end_by(&crashing, "crash")?, (139, "Error".to_owned()));
    assert_eq!(console.ask("echo still here")?, "still here\r\n");
    assert!(staying.is_running()?);
    // The place of the one that crashed is taken by a new one.
    crashing.remove()?;
    let again = pod.rtos("crashing")?;
    assert_eq!(again.pid()?, staying.pid()?, "two shims");
    staying.stop(GRACE)?;
    assert_eq!(staying.ended()?, (143, "Error".to_owned()));
    assert!(again.is_running()?);
    pod.stop()?;
    pod.remove()?;
    node.clean()
}
