//! Firmware and Linux programs in one pod by one runtime handler: the Linux ones lack nothing that runc gives.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cri_tests::{Container, Network, Node};
use qemu_tests::{MICRUN, Version, under_every_containerd};

use crate::{GRACE, end_by, namespace};

under_every_containerd!(
    has_a_whole_sidecar_on_the_host_s_network,
    has_a_whole_sidecar_on_a_bridge,
    outlives_the_end_of_either
);

/// Says something on both streams, and has an exit status of its own for SIGTERM.
pub(crate) const SCRIPT: &str =
    "echo up; echo oops >&2; trap 'exit 7' TERM; while :; do busybox sleep 0.1; done";

fn has_a_whole_sidecar_on_the_host_s_network(version: Version) -> Result<()> {
    has_a_whole_sidecar(version, Network::Host)
}

fn has_a_whole_sidecar_on_a_bridge(version: Version) -> Result<()> {
    has_a_whole_sidecar(version, Network::Bridge)
}

fn has_a_whole_sidecar(version: Version, network: Network) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "mixed", network)?;
    let (rtos, sidecar) = (pod.rtos("rtos")?, pod.sidecar("sidecar", SCRIPT)?);
    sidecar.logged("stdout", "up")?;
    sidecar.logged("stderr", "oops")?;
    let mut console = rtos.attach()?;
    console.greet()?;
    let network = pod.network_namespace()?.unwrap_or_else(|| PathBuf::from("/proc/self/ns/net"));
    let own = PathBuf::from(format!("/proc/{}/ns/net", sidecar.pid()?));
    assert_eq!(namespace(&own)?, namespace(&network)?, "the sidecar is not in the pod's network");
    let addresses = program(&sidecar, "busybox ip -4 addr")?;
    assert!(addresses.1.contains(&pod.address()?), "{addresses:?}");
    assert_eq!(program(&sidecar, "busybox ping -c 1 127.0.0.1")?.0, 0);
    assert_eq!(program(&sidecar, "echo out; exit 5")?, (5, "out\n".to_owned()));
    assert_eq!(console.ask("echo beside it")?, "beside it\r\n");
    sidecar.stop(GRACE)?;
    assert_eq!(sidecar.ended()?, (7, "Error".to_owned()));
    pod.stop()?;
    pod.remove()?;
    assert!(!Path::new(&own).exists());
    node.clean()
}

fn outlives_the_end_of_either(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "fates", Network::Bridge)?;
    let (rtos, sidecar) = (pod.rtos("rtos")?, pod.sidecar("sidecar", SCRIPT)?);
    assert_eq!(end_by(&rtos, "crash")?, (139, "Error".to_owned()));
    assert_eq!(program(&sidecar, "echo on")?, (0, "on\n".to_owned()));
    let again = pod.rtos("rtos")?;
    let failing = pod.sidecar("failing", "exit 3")?;
    assert_eq!(failing.ended()?, (3, "Error".to_owned()));
    let mut console = again.attach()?;
    console.greet()?;
    pod.stop()?;
    assert_eq!(sidecar.ended()?, (137, "Error".to_owned()));
    assert_eq!(again.ended()?, (137, "Error".to_owned()));
    pod.remove()?;
    node.clean()
}

/// Exit status and output of a shell command in a container.
pub(crate) fn program(container: &Container<'_>, command: &str) -> Result<(i32, String)> {
    let ended = container.exec(&["/bin/sh", "-c", command])?;
    Ok((ended.exit_code, String::from_utf8_lossy(&ended.stdout).into_owned()))
}
