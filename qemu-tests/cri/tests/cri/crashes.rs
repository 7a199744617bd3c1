//! containerd, the shim or both are killed while a pod runs: containerd finds what is true, and the pod goes in good order.

use anyhow::Result;
use cri_tests::{Network, Node, Pod};
use qemu_tests::{DEADLINE, MICRUN, Version, kill_9, under_every_containerd, wait_for};

use crate::mixed_pod::{SCRIPT, program};
use crate::{GRACE, end_by};

under_every_containerd!(
    containerd_finds_a_running_pod_again,
    a_killed_shim_takes_its_firmware_along_and_no_sidecar,
    what_died_while_containerd_was_away_has_ended,
);

fn containerd_finds_a_running_pod_again(version: Version) -> Result<()> {
    let mut node = Node::start(version)?;
    let pod = Pod::run(&node.cri, MICRUN, "found", Network::Bridge, &node.logs())?;
    let (rtos, ended, sidecar) = (pod.rtos("rtos")?, pod.rtos("ended")?, pod.sidecar("sidecar", SCRIPT)?);
    sidecar.logged("stdout", "up")?;
    rtos.attach()?.greet()?;
    ended.attach()?.greet()?;
    kill_9(node.containerd.pid())?;
    node.containerd.restart()?;
    // The first call meets the old connection's end, and CRI answers a moment after the socket does.
    assert!(wait_for("an answer about the pod", DEADLINE, || pod.is_ready().ok())?);
    assert!(rtos.is_running()? && ended.is_running()? && sidecar.is_running()?);
    let mut console = rtos.attach()?;
    console.greet()?;
    assert_eq!(console.ask("echo still here")?, "still here\r\n");
    assert_eq!(end_by(&ended, "exit 4")?, (4, "Error".to_owned()));
    rtos.stop(GRACE)?;
    assert_eq!(rtos.ended()?, (143, "Error".to_owned()));
    sidecar.stop(GRACE)?;
    assert_eq!(sidecar.ended()?, (7, "Error".to_owned()));
    pod.stop()?;
    pod.remove()?;
    node.clean()
}

fn a_killed_shim_takes_its_firmware_along_and_no_sidecar(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "orphan", Network::Bridge)?;
    let (rtos, sidecar) = (pod.rtos("rtos")?, pod.sidecar("sidecar", SCRIPT)?);
    kill_9(rtos.pid()?)?;
    // What containerd's CRI makes of a lost connection, whoever's shim it is.
    assert_eq!(rtos.ended()?, (255, "Error".to_owned()));
    wait_for("the pod's end", DEADLINE, || pod.is_ready().is_ok_and(|ready| !ready).then_some(()))?;
    assert_eq!(program(&sidecar, "echo on")?, (0, "on\n".to_owned()));
    pod.stop()?;
    assert_eq!(sidecar.ended()?, (137, "Error".to_owned()));
    pod.remove()?;
    node.clean()
}

fn what_died_while_containerd_was_away_has_ended(version: Version) -> Result<()> {
    let mut node = Node::start(version)?;
    let pod = Pod::run(&node.cri, MICRUN, "both", Network::Bridge, &node.logs())?;
    let (rtos, sidecar) = (pod.rtos("rtos")?, pod.sidecar("sidecar", SCRIPT)?);
    let shim = rtos.pid()?;
    kill_9(node.containerd.pid())?;
    kill_9(shim)?;
    node.containerd.restart()?;
    let (status, _) = rtos.ended()?;
    assert_ne!(status, 0, "a crash became a success");
    assert!(!pod.is_ready()?);
    assert_eq!(program(&sidecar, "echo on")?, (0, "on\n".to_owned()));
    pod.stop()?;
    pod.remove()?;
    node.clean()
}
