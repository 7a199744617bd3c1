//! One firmware in a pod, through everything that a kubelet does to it.

use anyhow::Result;
use cri_tests::{Network, Node};
use qemu_tests::{MICRUN, Version, under_every_containerd};

use crate::{GRACE, end_by};

under_every_containerd!(
    lives_on_the_host_s_network,
    lives_on_a_bridge,
    ends_in_good_order_and_is_started_again,
    is_removed_by_force,
    needs_no_terminal,
);

fn lives_on_the_host_s_network(version: Version) -> Result<()> {
    lives(version, Network::Host)
}

fn lives_on_a_bridge(version: Version) -> Result<()> {
    lives(version, Network::Bridge)
}

/// Console, log and figures; then the kubelet's own way to end a pod.
fn lives(version: Version, network: Network) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "rtos", network)?;
    assert!(pod.is_ready()?);
    let namespace = pod.network_namespace()?;
    match network {
        Network::Host => assert_eq!((pod.address()?, &namespace), (String::new(), &None)),
        Network::Bridge => assert!(pod.address()?.starts_with(&node.bridge.prefix()), "{}", pod.address()?),
    }
    let shell = pod.rtos("shell")?;
    assert!(shell.is_running()?);
    let mut console = shell.attach()?;
    console.greet()?;
    assert_eq!(console.ask("echo one two")?, "one two\r\n");
    shell.logged("stdout", "one two")?;
    let memory = shell.stats()?.memory.unwrap_or_default().working_set_bytes.unwrap_or_default();
    assert!(memory.value > 0, "{memory:?}");
    pod.stop()?;
    assert!(console.status()?.contains("Success"));
    assert!(!pod.is_ready()?);
    assert_eq!(shell.ended()?, (137, "Error".to_owned()));
    assert!(namespace.is_none_or(|namespace| !namespace.exists()), "the network namespace is left");
    shell.remove()?;
    pod.remove()?;
    node.clean()
}

fn ends_in_good_order_and_is_started_again(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "ends", Network::Host)?;
    let stopped = pod.rtos("shell")?;
    stopped.attach()?.greet()?;
    stopped.stop(GRACE)?;
    assert_eq!(stopped.ended()?, (143, "Error".to_owned()));
    stopped.remove()?;
    let crashed = pod.rtos("shell")?;
    assert_eq!(end_by(&crashed, "crash")?, (139, "Error".to_owned()));
    let log = crashed.log()?;
    assert!(log.iter().any(|line| line.text.contains("fault: data abort at 0x7a00")), "{log:?}");
    let finished = pod.rtos("shell")?;
    assert_eq!(end_by(&finished, "exit 0")?, (0, "Completed".to_owned()));
    assert!(pod.is_ready()?, "the pod has ended with its containers");
    pod.stop()?;
    // With the two containers that are still there.
    pod.remove()?;
    node.clean()
}

fn needs_no_terminal(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "silent", Network::Host)?;
    let silent = pod.silent_rtos("silent")?;
    silent.logged("stdout", &format!("micrun test RTOS {} on CPU 3", env!("CARGO_PKG_VERSION")))?;
    let refused = silent.exec(&["/bin/ls"]).map(drop).expect_err("a program ran on a core").to_string();
    assert!(refused.contains("use its console (attach)"), "{refused}");
    silent.stop(GRACE)?;
    assert_eq!(silent.ended()?, (143, "Error".to_owned()));
    pod.stop()?;
    pod.remove()?;
    node.clean()
}

fn is_removed_by_force(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "force", Network::Bridge)?;
    pod.rtos("shell")?;
    pod.remove()?;
    node.clean()
}
