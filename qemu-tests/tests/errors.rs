//! Every way in which a request can fail, with containerd's code and one sentence, as a client of the Task service sees it.
//! (`refusals.rs` has those of images in full, `pods.rs` those of the Sandbox service.)

use std::fs;
use std::path::{Path, PathBuf};

use containerd_shim_protos::TaskClient;
use containerd_shim_protos::api;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc::{self, Code, Error, context};
use qemu_tests::Artifacts;
use qemu_tests::by_hand::{DEADLINE, Server, address, bundle, bundle_with, call, output};
use tempfile::TempDir;

const RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
/// SIGTERM, SIGKILL, and one that no RTOS knows.
const TERM: u32 = 15;
const KILL: u32 = 9;
const USR1: u32 = 10;

/// A server, and a bundle whose image is the test RTOS.
struct Shim {
    bundle: TempDir,
    server: Server,
    client: TaskClient,
}

/// Demands that `answer` is a refusal with this code and this sentence.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: ttrpc::Result<T>, code: Code, sentence: &str) {
    match answer {
        Err(Error::RpcStatus(status)) => {
            assert_eq!((status.code(), status.message.as_str()), (code, sentence));
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn soon() -> context::Context {
    context::with_duration(DEADLINE)
}

/// Puts the test RTOS into `bundle` as its image.
fn with_firmware(bundle: TempDir) -> TempDir {
    let rootfs = bundle.path().join("rootfs");
    fs::create_dir(&rootfs).expect("made");
    fs::copy(Artifacts::from_env().rtos(), rootfs.join("firmware.elf")).expect("copied");
    bundle
}

impl Shim {
    fn new() -> Self {
        Self::with_emulator(None)
    }

    fn with_emulator(emulator: Option<&str>) -> Self {
        let bundle = with_firmware(bundle());
        let mut start = call(bundle.path(), &["start"]);
        if let Some(program) = emulator {
            start.env("MICRUN_QEMU", program);
        }
        let server = Server { address: address(&output(&mut start)) };
        let client = TaskClient::new(server.connect());
        Self { bundle, server, client }
    }

    /// A Create of container `c1` with the bundle at `path`.
    fn request(&self, path: &Path) -> api::CreateTaskRequest {
        let bundle = path.display().to_string();
        api::CreateTaskRequest { id: "c1".to_owned(), bundle, ..Default::default() }
    }

    fn create(&self, request: &api::CreateTaskRequest) -> ttrpc::Result<api::CreateTaskResponse> {
        self.client.create(soon(), request)
    }

    fn created(&self) {
        self.create(&self.request(self.bundle.path())).expect("created");
    }

    fn start(&self, id: &str) -> ttrpc::Result<api::StartResponse> {
        self.client.start(soon(), &api::StartRequest { id: id.to_owned(), ..Default::default() })
    }

    fn kill(&self, id: &str, signal: u32) -> ttrpc::Result<api::Empty> {
        self.client.kill(soon(), &api::KillRequest { id: id.to_owned(), signal, ..Default::default() })
    }

    fn wait(&self, id: &str) -> ttrpc::Result<api::WaitResponse> {
        self.client.wait(soon(), &api::WaitRequest { id: id.to_owned(), ..Default::default() })
    }

    fn delete(&self, id: &str, exec: &str) -> ttrpc::Result<api::DeleteResponse> {
        let (id, exec_id) = (id.to_owned(), exec.to_owned());
        self.client.delete(soon(), &api::DeleteRequest { id, exec_id, ..Default::default() })
    }

    fn pause(&self, id: &str) -> ttrpc::Result<api::Empty> {
        self.client.pause(soon(), &api::PauseRequest { id: id.to_owned(), ..Default::default() })
    }

    fn resume(&self, id: &str) -> ttrpc::Result<api::Empty> {
        self.client.resume(soon(), &api::ResumeRequest { id: id.to_owned(), ..Default::default() })
    }

    fn update(&self, id: &str, kind: &str, resources: &str) -> ttrpc::Result<api::Empty> {
        let value = resources.as_bytes().to_vec();
        let resources = Any { type_url: kind.to_owned(), value, ..Default::default() };
        let resources = MessageField::some(resources);
        self.client
            .update(soon(), &api::UpdateTaskRequest { id: id.to_owned(), resources, ..Default::default() })
    }
}

#[test]
fn what_is_not_there_is_not_found_by_any_method() {
    let shim = Shim::new();
    // So that the server does not take the question for its end.
    shim.created();
    let id = || "x".to_owned();
    let (code, sentence) = (Code::NOT_FOUND, "container \"x\" does not exist");
    let state = api::StateRequest { id: id(), ..Default::default() };
    refused(shim.client.state(soon(), &state), code, sentence);
    refused(shim.start("x"), code, sentence);
    refused(shim.kill("x", KILL), code, sentence);
    refused(shim.wait("x"), code, sentence);
    refused(shim.delete("x", ""), code, sentence);
    refused(shim.pause("x"), code, sentence);
    refused(shim.resume("x"), code, sentence);
    refused(shim.update("x", RESOURCES, "{}"), code, sentence);
    refused(shim.client.pids(soon(), &api::PidsRequest { id: id(), ..Default::default() }), code, sentence);
    refused(shim.client.stats(soon(), &api::StatsRequest { id: id(), ..Default::default() }), code, sentence);
    let connect = api::ConnectRequest { id: id(), ..Default::default() };
    refused(shim.client.connect(soon(), &connect), code, sentence);
    let resize = api::ResizePtyRequest { id: id(), ..Default::default() };
    refused(shim.client.resize_pty(soon(), &resize), code, sentence);
    let close = api::CloseIORequest { id: id(), stdin: true, ..Default::default() };
    refused(shim.client.close_io(soon(), &close), code, sentence);
    // Exec makes none, so no process but the first is ever there.
    refused(shim.delete("c1", "e1"), code, "container \"c1/e1\" does not exist");
    shim.delete("c1", "").expect("deleted");
    refused(shim.delete("c1", ""), code, "container \"c1\" does not exist");
}

#[test]
fn what_an_rtos_has_not_is_unimplemented() {
    let shim = Shim::new();
    shim.created();
    let code = Code::UNIMPLEMENTED;
    let exec =
        api::ExecProcessRequest { id: "c1".to_owned(), exec_id: "e1".to_owned(), ..Default::default() };
    let sentence = "an rtos has no processes to exec: use its console (attach)";
    refused(shim.client.exec(soon(), &exec), code, sentence);
    let sentence = "a core cannot be checkpointed: stop the container and start a new one";
    let checkpoint = api::CheckpointTaskRequest { id: "c1".to_owned(), ..Default::default() };
    refused(shim.client.checkpoint(soon(), &checkpoint), code, sentence);
    let mut restored = shim.request(shim.bundle.path());
    restored.checkpoint = "/checkpoint".to_owned();
    refused(shim.create(&restored), code, sentence);
    let memory = r#"{"memory":{"limit":1048576}}"#;
    let sentence = "this container's emulator has no control group that could be changed";
    refused(shim.update("c1", RESOURCES, memory), code, sentence);
    shim.delete("c1", "").expect("deleted");
}

#[test]
fn what_is_wrong_in_a_create_is_named() {
    let shim = Shim::new();
    let good = shim.request(shim.bundle.path());
    let with = |change: &dyn Fn(&mut api::CreateTaskRequest)| {
        let mut request = good.clone();
        change(&mut request);
        shim.create(&request)
    };
    let wrong = Code::INVALID_ARGUMENT;
    refused(
        with(&|request| request.id = "../c1".to_owned()),
        wrong,
        "container id \"../c1\" is not valid: 1 to 76 letters, digits, '-', '_' and '.', a letter or digit first",
    );
    refused(
        with(&|request| request.bundle = "/missing".to_owned()),
        wrong,
        "/missing/config.json: No such file or directory (os error 2)",
    );
    refused(
        with(&|request| request.stdout = "http://log".to_owned()),
        Code::UNIMPLEMENTED,
        "stdout \"http://log\": the scheme must be fifo, file, binary or binary-v2",
    );
    refused(
        with(&|request| request.stdin = "binary:///bin/cat".to_owned()),
        wrong,
        "stdin \"binary:///bin/cat\": a logger has no input to give",
    );
    refused(
        with(&|request| request.stdin = "/missing/fifo".to_owned()),
        Code::UNAVAILABLE,
        "stdin \"/missing/fifo\": No such file or directory (os error 2)",
    );
    refused(
        with(&|request| request.stdout = "binary:///missing/logger".to_owned()),
        Code::UNAVAILABLE,
        "logger \"/missing/logger\": No such file or directory (os error 2)",
    );
    let rootfs = shim.bundle.path().join("rootfs").display().to_string();
    let mount = |request: &mut api::CreateTaskRequest| {
        request.rootfs.push(api::Mount {
            type_: "nofs".to_owned(),
            source: "none".to_owned(),
            ..Default::default()
        });
    };
    refused(
        with(&mount),
        Code::UNAVAILABLE,
        &format!("mounting nofs \"none\" on {rootfs:?}: No such device (os error 19)"),
    );
    // None of the refused ones is left, neither here nor in the bundle.
    shim.created();
    refused(shim.create(&good), Code::ALREADY_EXISTS, "container \"c1\" exists already");
    shim.delete("c1", "").expect("deleted");
    assert!(shim.server.socket().exists());
}

/// A Create with this `config.json` on a server of its own.
fn create_with(
    config: &str,
    prepare: impl FnOnce(&PathBuf),
) -> (TempDir, ttrpc::Result<api::CreateTaskResponse>) {
    let shim = Shim::new();
    let bundle = with_firmware(bundle_with(config));
    prepare(&bundle.path().join("rootfs/firmware.elf"));
    let answer = shim.create(&shim.request(bundle.path()));
    (bundle, answer)
}

#[test]
fn what_is_wrong_in_a_bundle_is_named() {
    let wrong = Code::INVALID_ARGUMENT;
    let nothing = |_: &PathBuf| {};
    let annotated =
        |key: &str, value: &str| format!(r#"{{"annotations":{{"org.openeuler.micrun.{key}":"{value}"}}}}"#);
    let (_bundle, answer) = create_with("{}", |firmware| fs::remove_file(firmware).expect("removed"));
    refused(answer, wrong, "the image's \"/firmware.elf\": No such file or directory (os error 2)");
    let (_bundle, answer) = create_with("{}", |firmware| fs::write(firmware, "text").expect("written"));
    let sentence = "firmware \"/firmware.elf\": not an elf file: it starts with [74, 65, 78, 74], \
                    an elf file with [7f, 45, 4c, 46]";
    refused(answer, wrong, sentence);
    let (_bundle, answer) = create_with(&annotated("ped.pedestal", "moon"), nothing);
    refused(
        answer,
        wrong,
        "firmware \"/firmware.elf\": pedestal \"moon\" is not supported, this build has: \
         qemu, mcs, remoteproc, micad",
    );
    let (_bundle, answer) = create_with(&annotated("container.stop_timeout", "soon"), nothing);
    let sentence = "annotation org.openeuler.micrun.container.stop_timeout is \"soon\", it must be \
                    whole seconds or a duration such as 1m30s, at most 365 days";
    refused(answer, wrong, sentence);
    let (_bundle, answer) = create_with(r#"{"linux":{"resources":{"cpu":{"cpus":"a"}}}}"#, nothing);
    refused(answer, wrong, "cpu.cpus is \"a\", it must be a list of cpus like 0-2,5");
    let sandbox = |linux: &str| {
        format!(r#"{{"annotations":{{"io.kubernetes.cri.container-type":"sandbox"}},"linux":{linux}}}"#)
    };
    let (_bundle, answer) = create_with(&sandbox(r#"{"namespaces":[{"type":"user"}]}"#), nothing);
    let sentence =
        "a pod with a user namespace of its own is not supported: use the host's (hostUsers: true)";
    refused(answer, Code::UNIMPLEMENTED, sentence);
    let (_bundle, answer) = create_with(&sandbox(r#"{"sysctl":{"kernel.panic":"1"}}"#), nothing);
    let sentence = "sysctl \"kernel.panic\" belongs to the whole host, a pod can set those of its namespaces: \
                    net.*, kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*";
    refused(answer, wrong, sentence);
    let (_bundle, answer) =
        create_with(&sandbox(r#"{"namespaces":[{"type":"network","path":"/missing"}]}"#), nothing);
    let sentence = "network namespace \"/missing\": No such file or directory (os error 2)";
    refused(answer, Code::UNAVAILABLE, sentence);
}

#[test]
fn what_a_state_does_not_allow_is_a_failed_precondition() {
    let shim = Shim::new();
    let code = Code::FAILED_PRECONDITION;
    let is = |state: &str, action: &str, needed: &str| {
        format!("container \"c1\" is {state}, {action} needs it to be {needed}")
    };
    shim.created();
    refused(shim.pause("c1"), code, &is("created", "pause", "running"));
    refused(shim.resume("c1"), code, &is("created", "resume", "paused"));
    refused(shim.kill("c1", TERM), code, &is("created", "an orderly stop", "running"));
    shim.start("c1").expect("started");
    refused(shim.start("c1"), code, &is("running", "start", "created"));
    refused(shim.delete("c1", ""), code, &is("running", "delete", "created or stopped"));
    refused(shim.resume("c1"), code, &is("running", "resume", "paused"));
    let sentence = "signal 10 means nothing to an rtos: use 15 (orderly power-off) or 9 (power is cut)";
    refused(shim.kill("c1", USR1), Code::INVALID_ARGUMENT, sentence);
    let sentence = format!("resources are of type \"x\", they must be {RESOURCES}");
    refused(shim.update("c1", "x", "{}"), Code::INVALID_ARGUMENT, &sentence);
    let sentence = "resources are not what oci calls linux resources: \
                    EOF while parsing an object at line 1 column 1";
    refused(shim.update("c1", RESOURCES, "{"), Code::INVALID_ARGUMENT, sentence);
    shim.pause("c1").expect("paused");
    refused(shim.pause("c1"), code, &is("paused", "pause", "running"));
    refused(shim.delete("c1", ""), code, &is("paused", "delete", "created or stopped"));
    shim.kill("c1", KILL).expect("killed");
    shim.wait("c1").expect("ended");
    refused(shim.kill("c1", KILL), Code::NOT_FOUND, "container \"c1\" has ended");
    refused(shim.pause("c1"), code, &is("stopped", "pause", "running"));
    refused(shim.start("c1"), code, &is("stopped", "start", "created"));
    shim.delete("c1", "").expect("deleted");
}

#[test]
fn a_system_that_does_not_play_along_is_unavailable() {
    let shim = Shim::with_emulator(Some("/missing/qemu"));
    let code = Code::UNAVAILABLE;
    let late = context::Context { timeout_nano: 1, ..Default::default() };
    // The client gives up by itself; the shim has undone what nobody heard of, or Create would be refused below.
    assert!(shim.client.create(late, &shim.request(shim.bundle.path())).is_err());
    qemu_tests::wait_for("the late one to be undone", DEADLINE, || {
        shim.create(&shim.request(shim.bundle.path())).ok()
    })
    .expect("undone");
    let sentence =
        "firmware does not start: cannot run /missing/qemu: No such file or directory (os error 2)";
    refused(shim.start("c1"), code, sentence);
    shim.delete("c1", "").expect("deleted");
}
