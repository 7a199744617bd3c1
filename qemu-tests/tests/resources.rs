//! Limits of an emulated core and their Update, all or nothing. `ctr` 1.6 has no word for it, so the
//! shim is called by hand.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use containerd_shim_protos::TaskClient;
use containerd_shim_protos::api::{
    CreateTaskRequest, DeleteRequest, KillRequest, PauseRequest, StartRequest, UpdateTaskRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc::{Code, Error, context};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use qemu_tests::by_hand::{DEADLINE, Server, address, bundle, call, output};
use qemu_tests::limits::{cpus_of, two_cpus};
use qemu_tests::{Artifacts, Process};
use tempfile::TempDir;

/// containerd's name for OCI's `LinuxResources` in JSON.
const RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
const ID: &str = "c1";

/// OCI resources with these CPUs.
fn with_cpus(cpus: &str) -> String {
    format!(r#"{{"cpu":{{"cpus":"{cpus}"}}}}"#)
}

/// A control group of this test's own.
fn group_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/micrun-tests-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// True if control groups of version 1 are the ones that limit.
fn is_version_1() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A created container; ended and deleted at the end of the test.
struct Container {
    client: TaskClient,
    _server: Server,
    bundle: TempDir,
    group: String,
}

impl Container {
    /// One whose specification asks for `resources`.
    fn create(resources: &str) -> Self {
        let bundle = bundle();
        let group = group_name();
        let linux = format!(r#"{{"resources":{resources},"cgroupsPath":"{group}"}}"#);
        let config = format!(r#"{{"root":{{"path":"rootfs"}},"linux":{linux}}}"#);
        fs::write(bundle.path().join("config.json"), config).expect("written");
        fs::create_dir(bundle.path().join("rootfs")).expect("made");
        fs::copy(Artifacts::from_env().rtos(), bundle.path().join("rootfs/firmware.elf")).expect("copied");
        let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
        let client = TaskClient::new(server.connect());
        let here = bundle.path().display().to_string();
        let stdin = bundle.path().join("stdin");
        mkfifo(&stdin, Mode::S_IRWXU).expect("a fifo");
        let stdin = stdin.display().to_string();
        let create = CreateTaskRequest { id: ID.to_owned(), bundle: here, stdin, ..Default::default() };
        client.create(context::with_duration(DEADLINE), &create).expect("created");
        Self { client, _server: server, bundle, group }
    }

    fn start(&self) {
        let start = StartRequest { id: ID.to_owned(), ..Default::default() };
        self.client.start(context::with_duration(DEADLINE), &start).expect("started");
    }

    fn kill(&self) {
        let kill = KillRequest { id: ID.to_owned(), signal: 9, ..Default::default() };
        // It may have ended.
        let _ = self.client.kill(context::with_duration(DEADLINE), &kill);
        let wait = WaitRequest { id: ID.to_owned(), ..Default::default() };
        self.client.wait(context::with_duration(DEADLINE), &wait).expect("ended");
    }

    /// Updates it; the code and the sentence of a refusal.
    fn update(&self, kind: &str, resources: &str) -> Result<(), (Code, String)> {
        let resources =
            Any { type_url: kind.to_owned(), value: resources.as_bytes().to_vec(), ..Default::default() };
        let resources = MessageField::some(resources);
        let update = UpdateTaskRequest { id: ID.to_owned(), resources, ..Default::default() };
        match self.client.update(context::with_duration(DEADLINE), &update) {
            Ok(_) => Ok(()),
            Err(Error::RpcStatus(status)) => Err((status.code(), status.message().to_owned())),
            Err(error) => panic!("no status: {error}"),
        }
    }

    /// The host CPUs of each thread of its emulator.
    fn cpus(&self) -> Vec<String> {
        let shim = Server::pid(self.bundle.path());
        let is_it = |process: &Process| process.parent == shim && process.name.starts_with("qemu-system-");
        let emulator = Process::all().into_iter().find(is_it).expect("an emulator").pid;
        cpus_of(emulator).expect("it runs")
    }

    /// A file of its group; the two versions name it differently.
    fn limit(&self, [controller, version_1, version_2]: [&str; 3]) -> PathBuf {
        let root = Path::new("/sys/fs/cgroup");
        let name = self.group.trim_start_matches('/');
        if is_version_1() {
            root.join(controller).join(name).join(version_1)
        } else {
            root.join(name).join(version_2)
        }
    }

    fn limit_is(&self, file: [&str; 3], value: &str) {
        let path = self.limit(file);
        let found = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(found.trim_end(), value, "{}", path.display());
    }

    /// Demands that all threads of the emulator run on `cpu` alone.
    fn assert_pinned(&self, cpu: &str) {
        let cpus = self.cpus();
        // One per emulated core, and QEMU's own.
        assert!(cpus.len() > 4, "{cpus:?}");
        assert!(cpus.iter().all(|cpus| cpus == cpu), "{cpus:?}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
        let delete = DeleteRequest { id: ID.to_owned(), ..Default::default() };
        self.client.delete(context::with_duration(DEADLINE), &delete).expect("deleted");
    }
}

#[test]
fn a_running_core_moves_to_other_cpus() {
    let container = Container::create("{}");
    container.start();
    let [first, last] = two_cpus().expect("a list");
    for cpu in [&last, &first] {
        container.update(RESOURCES, &with_cpus(cpu)).expect("updated");
        container.assert_pinned(cpu);
    }
    let pause = PauseRequest { id: ID.to_owned(), ..Default::default() };
    container.client.pause(context::with_duration(DEADLINE), &pause).expect("paused");
    container.update(RESOURCES, &with_cpus(&last)).expect("updated");
    container.assert_pinned(&last);
}

#[test]
fn a_created_core_starts_on_the_cpus_it_was_last_given() {
    let [first, last] = two_cpus().expect("a list");
    let container = Container::create(&with_cpus(&first));
    container.update(RESOURCES, &with_cpus(&last)).expect("remembered");
    container.update(RESOURCES, &with_cpus("")).expect("nothing to do");
    container.start();
    container.assert_pinned(&last);
}

#[test]
fn a_core_starts_on_the_cpus_of_its_specification() {
    let [_, cpu] = two_cpus().expect("a list");
    let container = Container::create(&with_cpus(&cpu));
    container.start();
    container.assert_pinned(&cpu);
}

#[test]
fn what_the_container_was_made_with_may_be_said_again() {
    // As containerd's CRI service does it for the kubelet's CPU manager.
    let made =
        r#"{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":67108864},"cpu":{"shares":2}}"#;
    let container = Container::create(made);
    container.start();
    let [_, cpu] = two_cpus().expect("a list");
    let again = made.replace(r#""shares":2"#, &format!(r#""shares":2,"quota":0,"cpus":"{cpu}""#));
    container.update(RESOURCES, &again).expect("updated");
    container.assert_pinned(&cpu);
}

#[test]
fn what_cannot_be_changed_is_named_and_changes_nothing() {
    let container = Container::create("{}");
    container.start();
    let [_, cpu] = two_cpus().expect("a list");
    container.update(RESOURCES, &with_cpus(&cpu)).expect("updated");
    let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("a list");
    let refusals = [
        (
            r#"{"cpu":{"cpus":"0","mems":"0"},"pids":{"limit":9}}"#,
            Code::UNIMPLEMENTED,
            "cpu.mems, pids.limit cannot be changed for an emulated core".to_owned(),
        ),
        (
            r#"{"cpu":{"cpus":"0-1023"}}"#,
            Code::INVALID_ARGUMENT,
            format!("cpu.cpus is \"0-1023\", this host has cpus {}", online.trim_end()),
        ),
        (
            r#"{"cpu":{"cpus":"one"}}"#,
            Code::INVALID_ARGUMENT,
            "cpu.cpus is \"one\", it must be a list of cpus like 0-2,5".to_owned(),
        ),
        (
            "[]",
            Code::INVALID_ARGUMENT,
            "resources are not what oci calls linux resources: invalid type: sequence, expected a map at line 1 column 0"
                .to_owned(),
        ),
    ];
    for (resources, code, sentence) in refusals {
        assert_eq!(container.update(RESOURCES, resources), Err((code, sentence)));
    }
    let windows = container.update("windows.Resources", "{}").expect_err("refused");
    let sentence = format!("resources are of type \"windows.Resources\", they must be {RESOURCES}");
    assert_eq!(windows, (Code::INVALID_ARGUMENT, sentence));
    container.assert_pinned(&cpu);
    container.kill();
    let (code, sentence) = container.update(RESOURCES, "{}").expect_err("ended");
    assert_eq!(code, Code::FAILED_PRECONDITION);
    assert_eq!(sentence, "container \"c1\" is stopped, update needs it to be created, running or paused");
}

const MEMORY: [&str; 3] = ["memory", "memory.limit_in_bytes", "memory.max"];
const SHARES: [&str; 3] = ["cpu", "cpu.shares", "cpu.weight"];
const MEMBERS: [&str; 3] = ["memory", "cgroup.procs", "cgroup.procs"];
/// What QEMU may take beside the core's memory.
const EMULATOR: u64 = 64 << 20;

#[test]
fn the_kernel_holds_an_emulator_to_its_limits() {
    let container = Container::create(r#"{"memory":{"limit":16777216},"cpu":{"shares":512}}"#);
    let weight = |shares, weight| if is_version_1() { shares } else { weight };
    container.limit_is(MEMORY, &((16 << 20) + EMULATOR).to_string());
    container.start();
    let members = fs::read_to_string(container.limit(MEMBERS)).expect("a group");
    assert_eq!(members.lines().count(), 1, "{members}");
    container.limit_is(SHARES, weight("512", "20"));
    container.update(RESOURCES, r#"{"memory":{"limit":33554432},"cpu":{"shares":2048}}"#).expect("updated");
    container.limit_is(MEMORY, &((32 << 20) + EMULATOR).to_string());
    container.limit_is(SHARES, weight("2048", "79"));
    let (code, sentence) =
        container.update(RESOURCES, r#"{"memory":{"limit":1048575}}"#).expect_err("too little");
    assert_eq!((code, sentence.starts_with("memory.limit is 1048575")), (Code::INVALID_ARGUMENT, true));
    container.limit_is(MEMORY, &((32 << 20) + EMULATOR).to_string());
    let group = container.limit(MEMORY);
    drop(container);
    assert!(!group.exists());
}

#[test]
fn a_core_that_takes_more_than_its_limit_is_ended() {
    let container = Container::create(r#"{"memory":{"limit":2097152}}"#);
    let stdin = container.bundle.path().join("stdin");
    container.start();
    fs::OpenOptions::new()
        .write(true)
        .open(&stdin)
        .and_then(|mut pipe| pipe.write_all(b"hog\r"))
        .expect("typed");
    let wait = WaitRequest { id: ID.to_owned(), ..Default::default() };
    let ended = container.client.wait(context::with_duration(DEADLINE), &wait).expect("ended");
    assert_eq!(ended.exit_status, 137);
}
