//! Pods: a container that only stands for one, and the Sandbox service.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use containerd_shim_protos::sandbox_api::{
    CreateSandboxRequest, PingRequest, PlatformRequest, SandboxMetricsRequest, SandboxStatusRequest,
    ShutdownSandboxRequest, StartSandboxRequest, StopSandboxRequest, WaitSandboxRequest,
};
use containerd_shim_protos::sandbox_sync::SandboxClient;
use containerd_shim_protos::ttrpc::{Code, Error, context};
use qemu_tests::by_hand::{DEADLINE, Server, address, bundle, call, output};
use qemu_tests::{Artifacts, wait_for};
use qemu_tests::{Testbed, kill_9, lives};

const SANDBOX: &str = "io.kubernetes.cri.container-type=sandbox";
const CONTAINER: &str = "io.kubernetes.cri.container-type=container";
const OF_POD: &str = "io.kubernetes.cri.sandbox-id=pod";

/// A namespace of a process, as the kernel numbers it.
fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a live process")
}

fn host(kind: &str) -> PathBuf {
    namespace(std::process::id(), kind)
}

fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent");
    parent.trim().parse().expect("a number")
}

fn gone(pid: u32) {
    wait_for("the end of a process", DEADLINE, || (!lives(pid)).then_some(())).expect("it ends");
}

/// Runs the container that stands for the pod, detached; the pid that containerd is told of.
fn run_infra(bed: &Testbed, options: &[&str]) -> u32 {
    let pod = ["-d", "--annotation", SANDBOX, "--annotation", OF_POD];
    bed.run(&[&pod, options].concat(), Artifacts::HELLO, "pod").expect("it ends").ok().expect("run");
    bed.task("pod").pid().expect("a task")
}

#[test]
fn a_pod_has_a_process_in_its_namespaces_and_its_rtos_in_the_same_shim() {
    let bed = Testbed::new().expect("containerd");
    let holder = run_infra(&bed, &[]);
    for kind in ["net", "ipc", "uts", "pid"] {
        assert_ne!(namespace(holder, kind), host(kind), "{kind}");
    }
    assert_eq!(fs::read_dir(format!("/proc/{holder}/fd")).expect("readable").count(), 0);
    let options = ["-d", "-t", "--annotation", CONTAINER, "--annotation", OF_POD];
    let words = bed.run_words(&options, Artifacts::HELLO, "rtos");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(bed.ctr.pty(&words).expect("a terminal").wait(DEADLINE).expect("it ends").success());
    let rtos = bed.task("rtos");
    assert_eq!(rtos.pid().expect("a task"), parent(holder));
    let mut console = rtos.attach().expect("attached");
    // Whoever kills the process that stands for the pod means the pod, not its containers.
    kill_9(holder).expect("killed");
    bed.task("pod").ended().expect("the pod ends");
    assert_eq!(bed.task("pod").delete().expect("deleted"), 137);
    // Not by prompts: whether the first one went to the client that made the container is a matter of luck.
    console.send(b"echo still here\r").expect("sent");
    console.expect("\r\nstill here\r\n", DEADLINE).expect("an answer");
    drop(console);
    assert_eq!(rtos.end_by("SIGTERM").expect("ended"), 143);
    bed.task("pod").remove_container().expect("removed");
    bed.clean().expect("nothing left");
}

#[test]
fn a_pods_namespaces_end_with_it_and_with_the_shim() {
    let bed = Testbed::new().expect("containerd");
    let holder = run_infra(&bed, &[]);
    bed.task("pod").kill("SIGTERM").expect("killed");
    bed.task("pod").ended().expect("the pod ends");
    assert!(!lives(holder), "ended before the news");
    assert_eq!(bed.task("pod").delete().expect("deleted"), 143);
    bed.task("pod").remove_container().expect("removed");
    let holder = run_infra(&bed, &[]);
    kill_9(parent(holder)).expect("killed");
    gone(holder);
    bed.task("pod").gone().expect("containerd notices");
    bed.task("pod").remove_container().expect("removed");
    bed.clean().expect("nothing left");
}

#[test]
fn a_pod_on_the_hosts_network_stays_there() {
    let bed = Testbed::new().expect("containerd");
    let holder = run_infra(&bed, &["--net-host"]);
    assert_eq!(namespace(holder, "net"), host("net"));
    assert_ne!(namespace(holder, "ipc"), host("ipc"));
    assert_eq!(bed.task("pod").end_by("SIGKILL").expect("ended"), 137);
    let annotation = "org.openeuler.micrun.runtime.disable_new_netns=true";
    let holder = run_infra(&bed, &["--annotation", annotation]);
    assert_eq!(namespace(holder, "net"), host("net"));
    assert_eq!(bed.task("pod").end_by("SIGKILL").expect("ended"), 137);
    bed.clean().expect("nothing left");
}

/// A network namespace that something else made, as CRI hands over; it goes with the process.
struct Network(Child);

impl Network {
    fn new() -> Network {
        let mut unshare = Command::new("unshare");
        let child = unshare.args(["--net", "sleep", "1000"]).stdin(Stdio::null()).spawn().expect("unshare");
        let own = || (namespace(child.id(), "net") != host("net")).then_some(());
        wait_for("a network namespace", DEADLINE, own).expect("unshared");
        Network(child)
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It is our own child and still there.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> (Code, String) {
    match answer {
        Err(Error::RpcStatus(status)) => (status.code(), status.message),
        other => panic!("not a status: {other:?}"),
    }
}

fn soon() -> context::Context {
    context::with_duration(DEADLINE)
}

#[test]
fn the_sandbox_service_makes_a_pod_without_a_container() {
    let bundle = bundle();
    // Some controllers of pods give none.
    fs::remove_file(bundle.path().join("config.json")).expect("removed");
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let shim = Server::pid(bundle.path());
    let client = SandboxClient::new(server.connect());
    let network = Network::new();
    let sandbox_id = "c1".to_owned();
    let status = |verbose| {
        let request = SandboxStatusRequest { sandbox_id: sandbox_id.clone(), verbose, ..Default::default() };
        client.sandbox_status(soon(), &request)
    };
    assert_eq!(code(status(false)).0, Code::NOT_FOUND);

    let mut create = CreateSandboxRequest {
        sandbox_id: sandbox_id.clone(),
        bundle_path: bundle.path().display().to_string(),
        netns_path: "/missing/netns".to_owned(),
        annotations: HashMap::from([("a".to_owned(), "b".to_owned())]),
        ..Default::default()
    };
    let (refused, why) = code(client.create_sandbox(soon(), &create));
    assert_eq!(refused, Code::UNAVAILABLE);
    assert!(why.contains("network namespace \"/missing/netns\""), "{why}");
    create.netns_path = network.path();
    client.create_sandbox(soon(), &create).expect("created");
    assert_eq!(code(client.create_sandbox(soon(), &create)).0, Code::ALREADY_EXISTS);
    assert_eq!(status(false).expect("a pod").state, "SANDBOX_NOTREADY");

    let request = StartSandboxRequest { sandbox_id: sandbox_id.clone(), ..Default::default() };
    let started = client.start_sandbox(soon(), &request).expect("started");
    assert_eq!(code(client.start_sandbox(soon(), &request)).0, Code::FAILED_PRECONDITION);
    assert_eq!(namespace(started.pid, "net"), namespace(network.0.id(), "net"));
    assert_eq!(parent(started.pid), shim);
    assert_eq!(status(true).expect("a pod").info["state"], "ready");
    let request = PingRequest { sandbox_id: sandbox_id.clone(), ..Default::default() };
    client.ping_sandbox(soon(), &request).expect("alive");
    let request = PlatformRequest { sandbox_id: sandbox_id.clone(), ..Default::default() };
    assert_eq!(client.platform(soon(), &request).expect("a platform").platform.os, "linux");
    let request = SandboxMetricsRequest { sandbox_id: sandbox_id.clone(), ..Default::default() };
    let metrics = client.sandbox_metrics(soon(), &request).expect("metrics").metrics;
    assert!(metrics.data.type_url.starts_with("io.containerd.cgroups.v"), "{}", metrics.data.type_url);

    let request = WaitSandboxRequest { sandbox_id: sandbox_id.clone(), ..Default::default() };
    let waiting = client.clone();
    let waiter = thread::spawn(move || waiting.wait_sandbox(soon(), &request).expect("the end"));
    let request =
        StopSandboxRequest { sandbox_id: sandbox_id.clone(), timeout_secs: 1, ..Default::default() };
    client.stop_sandbox(soon(), &request).expect("stopped");
    assert!(!lives(started.pid), "its namespaces were let go before the answer");
    assert_eq!(waiter.join().expect("no panic").exit_status, 0);
    client.stop_sandbox(soon(), &request).expect("stopped already");
    let stopped = status(false).expect("a pod");
    assert_eq!((stopped.state.as_str(), stopped.exited_at.is_some()), ("SANDBOX_NOTREADY", true));

    let request = ShutdownSandboxRequest { sandbox_id, ..Default::default() };
    client.shutdown_sandbox(soon(), &request).expect("the last answer");
    drop(client);
    gone(shim);
    assert!(!fs::exists(server.address.trim_start_matches("unix://")).expect("readable"));
}
