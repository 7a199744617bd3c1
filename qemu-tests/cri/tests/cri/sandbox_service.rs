//! Pods that the shim runs by itself (`sandboxer = "shim"`): there is no pause container. Since containerd 2.0.
//!
//! On the host's network containerd 2.1.9 itself panics with that setting, so the pods here are on a bridge.

use anyhow::Result;
use cri_tests::{Network, Node};
use qemu_tests::{MICRUN_SANDBOX, Version};

use crate::mixed_pod::{SCRIPT, program};
use crate::{GRACE, end_by};

#[test]
fn a_pod_without_a_pause_container_runs_firmware_and_linux() -> Result<()> {
    let node = Node::start(Version::V2_1)?;
    let pod = node.run_pod(MICRUN_SANDBOX, "sandbox", Network::Bridge)?;
    assert!(pod.is_ready()?);
    let address = pod.address()?;
    assert!(address.starts_with(&node.bridge.prefix()), "{address}");
    let (first, second) = (pod.rtos("first")?, pod.rtos("second")?);
    assert_eq!(first.pid()?, second.pid()?, "two shims");
    let sidecar = pod.sidecar("sidecar", SCRIPT)?;
    sidecar.logged("stdout", "up")?;
    let addresses = program(&sidecar, "busybox ip -4 addr")?.1;
    assert!(addresses.contains(&address), "{address} is not among {addresses}");
    let mut console = first.attach()?;
    console.greet()?;
    assert_eq!(end_by(&second, "crash")?, (139, "Error".to_owned()));
    assert_eq!(console.ask("echo on")?, "on\r\n");
    first.stop(GRACE)?;
    assert_eq!(first.ended()?, (143, "Error".to_owned()));
    sidecar.stop(GRACE)?;
    assert_eq!(sidecar.ended()?, (7, "Error".to_owned()));
    assert!(pod.is_ready()?);
    pod.stop()?;
    assert!(!pod.is_ready()?);
    pod.remove()?;
    node.clean()
}
