//! The binary's calls as containerd makes them, without containerd: what it prints, inherits and leaves.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use containerd_shim_protos::TaskClient;
use containerd_shim_protos::api::{
    ConnectRequest, CreateTaskRequest, DeleteRequest, DeleteResponse, KillRequest, PidsRequest,
    ShutdownRequest, StateRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{Code, Error, context};
use qemu_tests::by_hand::{DEADLINE, Server, address, bundle, call, finish, output};
use qemu_tests::{Artifacts, lives, wait_for};

#[test]
fn start_prints_the_address_and_nothing_else() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let name = server.address.strip_prefix("unix:///run/containerd/s/").expect("containerd's directory");
    assert_eq!(name.len(), 64);
    assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let file = fs::read_to_string(bundle.path().join("address")).expect("for containerd 1.x");
    assert_eq!(file, server.address);
}

#[test]
fn standard_input_is_no_reason_to_fail() {
    // Options, bootstrap parameters of containerd 2.3, garbage: none of it is needed.
    for bytes in [&b"\x0a\x02c1\x12\x05calls"[..], &[0xff; 4096], &vec![7; 1 << 20]] {
        let bundle = bundle();
        let mut child = call(bundle.path(), &["start"]).stdin(Stdio::piped()).spawn().expect("the shim runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let bytes = bytes.to_vec();
        // Never closed before the answer, and not read either: a broken pipe is as good.
        let writer = thread::spawn(move || drop(stdin.write_all(&bytes)));
        let server = Server { address: address(&finish(child)) };
        writer.join().expect("no panic");
        drop(server);
    }
}

#[test]
fn of_many_starts_at_once_one_makes_the_server() {
    let bundle = bundle();
    let children: Vec<Child> =
        (0..8).map(|_| call(bundle.path(), &["start"]).spawn().expect("the shim runs")).collect();
    let addresses: Vec<String> = children.into_iter().map(|child| address(&finish(child))).collect();
    let server = Server { address: addresses[0].clone() };
    assert!(addresses.iter().all(|address| *address == server.address), "{addresses:?}");
    Server::pid(bundle.path());
}

#[test]
fn the_socket_of_a_killed_server_is_replaced() {
    let bundle = bundle();
    let first = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let pid = Server::pid(bundle.path());
    first.kill(bundle.path());
    let second = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    assert_eq!(second.address, first.address);
    assert_ne!(Server::pid(bundle.path()), pid);
}

#[test]
fn the_server_inherits_its_socket_and_nothing_of_ours() {
    let bundle = bundle();
    let secret = tempfile::tempfile().expect("a file");
    // Open across exec in every child from now on, as a careless containerd would have it.
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).expect("a flag");
    let _server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let pid = Server::pid(bundle.path());
    let targets: Vec<(u32, String)> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
        })
        .collect();
    for (number, target) in &targets {
        let ours =
            target.starts_with("anon_inode:") || target.starts_with("socket:") || target.starts_with("pipe:");
        assert!(ours || target == "/dev/null", "descriptor {number} is {target}");
        assert!(*number > 2 || target == "/dev/null", "descriptor {number} is {target}");
    }
    let session = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
    let session =
        session.rsplit_once(')').expect("a name").1.split_ascii_whitespace().nth(3).map(str::to_owned);
    assert_eq!(session, Some(pid.to_string()), "it leads a session of its own");
}

#[test]
fn both_versions_of_the_service_answer_and_errors_have_codes() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let client = server.connect();
    for version in ["v2", "v3"] {
        let request = containerd_shim_protos::ttrpc::proto::Request {
            service: format!("containerd.task.{version}.Task"),
            method: "State".to_owned(),
            timeout_nano: DEADLINE.as_nanos() as i64,
            payload: StateRequest { id: "nobody".to_owned(), ..Default::default() }
                .write_to_bytes()
                .expect("encodable"),
            ..Default::default()
        };
        let Err(Error::RpcStatus(status)) = client.request(request) else { panic!("{version}: no status") };
        assert_eq!(status.code(), Code::NOT_FOUND, "{version}");
        assert_eq!(status.message(), "container \"nobody\" does not exist", "{version}");
    }
}

#[test]
fn a_method_that_is_not_there_is_unimplemented() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let client = server.connect();
    let request = containerd_shim_protos::ttrpc::proto::Request {
        service: "containerd.task.v9.Task".to_owned(),
        method: "State".to_owned(),
        timeout_nano: DEADLINE.as_nanos() as i64,
        ..Default::default()
    };
    let Err(Error::RpcStatus(status)) = client.request(request) else { panic!("no status") };
    assert_eq!(status.code(), Code::UNIMPLEMENTED);
}

#[test]
fn many_waits_hold_no_threads_and_are_all_answered() {
    const WAITS: usize = 300;
    let bundle = bundle();
    fs::create_dir(bundle.path().join("rootfs")).expect("made");
    fs::copy(Artifacts::from_env().rtos(), bundle.path().join("rootfs/firmware.elf")).expect("copied");
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let client = TaskClient::new(server.connect());
    let (id, here) = ("c1".to_owned(), bundle.path().display().to_string());
    let create = CreateTaskRequest { id: id.clone(), bundle: here, ..Default::default() };
    client.create(context::with_duration(DEADLINE), &create).expect("created");
    let wait = WaitRequest { id: id.clone(), ..Default::default() };
    let waiting: Vec<_> = (0..WAITS)
        .map(|_| (client.clone(), wait.clone()))
        .map(|(client, wait)| thread::spawn(move || client.wait(context::with_duration(DEADLINE), &wait)))
        .collect();
    // Answered after the Waits, which came before on the same connection.
    let pids = PidsRequest { id: id.clone(), ..Default::default() };
    let pid = Server::pid(bundle.path());
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").count();
    for _ in 0..WAITS {
        client.pids(context::with_duration(DEADLINE), &pids).expect("still there");
    }
    assert!(threads() < WAITS / 2, "{} threads for {WAITS} waits", threads());
    let kill = KillRequest { id: id.clone(), signal: 9, ..Default::default() };
    client.kill(context::with_duration(DEADLINE), &kill).expect("ended");
    for waiter in waiting {
        let answer = waiter.join().expect("no panic").expect("an answer");
        assert_eq!(answer.exit_status, 137);
    }
    let delete = DeleteRequest { id, ..Default::default() };
    client.delete(context::with_duration(DEADLINE), &delete).expect("deleted");
}

#[test]
fn a_restarted_containerd_that_finds_no_container_ends_the_server() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let pid = Server::pid(bundle.path());
    let request = ConnectRequest { id: "c1".to_owned(), ..Default::default() };
    let answer = TaskClient::new(server.connect()).connect(context::with_duration(DEADLINE), &request);
    let Err(Error::RpcStatus(status)) = answer else { panic!("{answer:?}") };
    assert_eq!(status.code(), Code::NOT_FOUND);
    wait_for("the server's end", DEADLINE, || (!lives(pid)).then_some(())).expect("it ends by itself");
    let socket = server.address.strip_prefix("unix://").expect("a unix address");
    assert!(!Path::new(socket).exists());
}

#[test]
fn shutdown_without_tasks_ends_the_server_and_leaves_no_socket() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let pid = Server::pid(bundle.path());
    let answer = TaskClient::new(server.connect())
        .shutdown(context::with_duration(DEADLINE), &ShutdownRequest::default());
    answer.expect("the answer arrives before the end");
    let gone = || (!lives(pid)).then_some(());
    wait_for("the server's end", DEADLINE, gone).expect("it ends by itself");
    let socket = server.address.strip_prefix("unix://").expect("a unix address");
    assert!(!Path::new(socket).exists());
    std::mem::forget(server);
}

/// The answer of `delete`, which never fails.
fn deleted(bundle: &Path) -> DeleteResponse {
    let output = output(&mut call(bundle, &["delete"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    DeleteResponse::parse_from_bytes(&output.stdout).expect("a DeleteResponse and nothing else")
}

#[test]
fn delete_with_nothing_left_answers_and_succeeds() {
    let bundle = bundle();
    for _ in 0..2 {
        assert_eq!(deleted(bundle.path()).exit_status, 137);
    }
}

#[test]
fn delete_needs_neither_configuration_nor_record_nor_bundle() {
    let bundle = bundle();
    fs::remove_file(bundle.path().join("config.json")).expect("removed");
    assert_eq!(deleted(bundle.path()).exit_status, 137);
    for half in ["{\"version\":1,", "", "\0\0\0\0"] {
        fs::write(bundle.path().join("micrun.json"), half).expect("written");
        fs::write(bundle.path().join("config.json"), half).expect("written");
        fs::write(bundle.path().join("address"), half).expect("written");
        assert_eq!(deleted(bundle.path()).exit_status, 137);
    }
    let missing = bundle.path().join("missing").display().to_string();
    let output = output(&mut call(bundle.path(), &["-bundle", &missing, "delete"]));
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(DeleteResponse::parse_from_bytes(&output.stdout).expect("an answer").exit_status, 137);
}

#[test]
fn delete_removes_a_dead_socket_and_no_other_without_the_configuration() {
    let bundle = bundle();
    let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
    let socket = server.socket();
    fs::remove_file(bundle.path().join("config.json")).expect("removed");
    deleted(bundle.path());
    assert!(socket.exists(), "a server that answers serves other containers");
    server.kill(bundle.path());
    for _ in 0..2 {
        deleted(bundle.path());
        assert!(!socket.exists());
    }
}

#[test]
fn delete_removes_nothing_that_is_no_socket_of_a_shim() {
    let bundle = bundle();
    let precious = bundle.path().join("precious");
    fs::write(&precious, "").expect("written");
    fs::write(bundle.path().join("address"), format!("unix://{}", precious.display())).expect("written");
    deleted(bundle.path());
    assert!(precious.exists());
}

#[test]
fn delete_ends_the_process_that_is_recorded() {
    let bundle = bundle();
    let mut core = Command::new("sleep").arg("600").spawn().expect("sleep runs");
    let stat = fs::read_to_string(format!("/proc/{}/stat", core.id())).expect("it runs");
    let begun = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace().nth(19).expect("field 22");
    let process = format!(r#"{{"pid":{},"start_time":{begun}}}"#, core.id());
    let record = format!(r#"{{"version":1,"process":{process},"exit":null}}"#);
    fs::write(bundle.path().join("micrun.json"), record).expect("written");
    fs::remove_file(bundle.path().join("config.json")).expect("removed");
    assert_eq!(deleted(bundle.path()).exit_status, 137);
    assert_eq!(core.wait().expect("a child").signal(), Some(9));
}

#[test]
fn delete_tells_how_a_recorded_container_ended() {
    let bundle = bundle();
    let record = r#"{"version":1,"process":null,"exit":{"status":3,"at":1700000000000000000}}"#;
    fs::write(bundle.path().join("micrun.json"), record).expect("written");
    let response = deleted(bundle.path());
    assert_eq!((response.exit_status, response.exited_at.seconds), (3, 1_700_000_000));
    assert!(!bundle.path().join("micrun.json").exists());
}

#[test]
fn mistakes_are_one_line() {
    let bundle = bundle();
    let complaint = |words: &[&str]| {
        let output = output(&mut call(bundle.path(), words));
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    assert_eq!(
        complaint(&["stop"]),
        "containerd-shim-mica-v2: action \"stop\" is not known, there are: start, delete"
    );
    assert_eq!(complaint(&["-colour", "red", "start"]), "containerd-shim-mica-v2: flag -colour is not known");
    let by_hand = complaint(&[]);
    assert!(by_hand.contains("containerd calls this binary with `start`"), "{by_hand}");
    fs::write(bundle.path().join("config.json"), "{").expect("written");
    assert_eq!(
        complaint(&["start"]),
        "containerd-shim-mica-v2: ./config.json: EOF while parsing an object at line 1 column 1"
    );
}
