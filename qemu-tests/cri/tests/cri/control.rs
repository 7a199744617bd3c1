//! The client and the node without micrun: pods of runc's. What fails here is no fault of the shim.

use anyhow::Result;
use cri_tests::{Network, Node};
use qemu_tests::{Version, under_every_containerd};

under_every_containerd!(a_pod_of_runc_lives_and_leaves_nothing, a_pod_of_runc_has_an_address_on_the_bridge);

const RUNC: &str = "runc";

fn a_pod_of_runc_lives_and_leaves_nothing(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(RUNC, "plain", Network::Host)?;
    assert!(pod.is_ready()?);
    assert_eq!((pod.address()?, pod.network_namespace()?), (String::new(), None));
    let script = "echo out; echo err >&2; trap 'exit 7' TERM; while :; do busybox sleep 0.1; done";
    let shell = pod.sidecar("shell", script)?;
    shell.logged("stdout", "out")?;
    shell.logged("stderr", "err")?;
    let said = shell.exec(&["busybox", "echo", "hello"])?;
    assert_eq!((said.exit_code, said.stdout.as_slice()), (0, &b"hello\n"[..]));
    shell.stop(10)?;
    assert_eq!(shell.ended()?, (7, "Error".to_owned()));
    shell.remove()?;
    pod.stop()?;
    assert!(!pod.is_ready()?);
    pod.remove()?;
    node.clean()
}

fn a_pod_of_runc_has_an_address_on_the_bridge(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(RUNC, "bridged", Network::Bridge)?;
    let address = pod.address()?;
    assert!(address.starts_with(&node.bridge.prefix()), "{address}");
    let namespace = pod.network_namespace()?.unwrap_or_default();
    assert!(namespace.exists(), "{namespace:?}");
    pod.stop()?;
    assert!(!namespace.exists(), "{namespace:?}");
    pod.remove()?;
    node.clean()
}
