//! What goes over the standard streams of the binary's calls: containerd 2.3's parameters, byte by byte as it sends
//! them, and whatever else may be there.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use qemu_tests::Artifacts;
use qemu_tests::by_hand::{Server, address, bundle, call, finish, output};
use rustix::fs::{Mode, OFlags, mkfifoat};
use tempfile::TempDir;

/// A field of type string, bytes or message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(number < 16 && content.len() < 128, "both fit into one byte");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

/// `BootstrapParams` as containerd 2.3.0 marshals them for container `c1` of namespace `calls`.
fn params(socket_dir: &str) -> Vec<u8> {
    let options = field(1, b"runtimeoptions.v1.Options");
    let mut bytes = [field(1, b"c1"), field(2, b"calls")].concat();
    // Field 3, a varint: debug is -4, which takes ten bytes.
    bytes.extend([3 << 3, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    bytes.extend(field(4, b"v2.3.0"));
    bytes.extend(field(5, b"unix:///run/nobody/containerd.sock.ttrpc"));
    bytes.extend(field(6, b"unix:///run/nobody/containerd.sock"));
    bytes.extend(field(7, b"/usr/bin/containerd"));
    bytes.extend(field(8, &field(1, &options)));
    bytes.extend(field(9, socket_dir.as_bytes()));
    bytes
}

/// A call of `start` without `TTRPC_ADDRESS`, with a pipe for standard input.
fn start(bundle: &Path) -> (Child, ChildStdin) {
    let mut command = call(bundle, &["start"]);
    let mut child = command.env_remove("TTRPC_ADDRESS").stdin(Stdio::piped()).spawn().expect("the shim runs");
    let stdin = child.stdin.take().expect("a pipe");
    (child, stdin)
}

/// A server that was started with `bytes` on standard input, which is then closed.
fn started_with(bundle: &Path, bytes: &[u8]) -> Server {
    let (child, mut stdin) = start(bundle);
    let bytes = bytes.to_vec();
    // Not all of it may be read, and a broken pipe is as good.
    let writer = thread::spawn(move || drop(stdin.write_all(&bytes)));
    let address = address(&finish(child));
    writer.join().expect("no panic");
    Server { address }
}

/// The FIFO `log` of a bundle, open before the shim comes, as containerd has it.
struct Log(fs::File);

impl Log {
    fn of(bundle: &Path) -> Log {
        let path = bundle.join("log");
        mkfifoat(rustix::fs::CWD, &path, Mode::RWXU).expect("a fifo");
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let log = fs::OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(path);
        Log(log.expect("a reader"))
    }

    /// What is in it now.
    fn text(&mut self) -> String {
        let mut text = vec![0; 1 << 16];
        let len = self.0.read(&mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..len]).into_owned()
    }
}

fn of_process(pid: u32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).expect("the server lives");
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The usual place of sockets.
fn is_usual(server: &Server) -> bool {
    server.address.starts_with("unix:///run/containerd/s/")
}

#[test]
fn parameters_of_containerd_2_3_are_honoured() {
    let (bundle, sockets) = (bundle(), TempDir::new().expect("a directory"));
    let mut log = Log::of(bundle.path());
    let dir = sockets.path().join("s");
    let server = started_with(bundle.path(), &params(&dir.to_string_lossy()));
    let path = server.socket();
    assert_eq!(path.parent(), Some(&*dir));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(path)), (0o700, 0o600));
    assert_eq!(fs::read_link(bundle.path().join("s")).expect("containerd's link"), dir);
    assert_eq!(fs::read_to_string(bundle.path().join("address")).expect("a file"), server.address);
    let pid = Server::pid(bundle.path());
    assert!(of_process(pid, "environ").contains("TTRPC_ADDRESS=/run/nobody/containerd.sock.ttrpc "));
    assert!(of_process(pid, "cmdline").contains("-log-level=DEBUG "));
    let text = log.text();
    // These come again with Create, and mean something there.
    assert!(!text.contains("runtime options"), "{text}");
    server.kill(bundle.path());
    assert!(path.exists());
    assert!(output(&mut call(bundle.path(), &["delete"])).status.success());
    assert!(!path.exists());
}

#[test]
fn a_stream_that_stays_open_is_not_waited_for() {
    for bytes in [params("").as_slice(), b""] {
        let bundle = bundle();
        let (child, mut stdin) = start(bundle.path());
        stdin.write_all(bytes).expect("taken");
        let server = Server { address: address(&finish(child)) };
        assert!(is_usual(&server), "{}", server.address);
        let debug = of_process(Server::pid(bundle.path()), "cmdline").contains("-log-level=DEBUG");
        assert_eq!(debug, !bytes.is_empty());
        drop(stdin);
    }
}

#[test]
fn what_is_no_message_for_us_changes_nothing() {
    let mut other = params("/tmp/not-for-us");
    other[2..4].copy_from_slice(b"c2");
    let cut = &params("/tmp/not-for-us")[..20];
    for bytes in [b"", &other[..], cut, &[0xff; 4096], b"{\"instance_id\":\"c1\"}", &vec![7; 12 << 20]] {
        let bundle = bundle();
        let server = started_with(bundle.path(), bytes);
        assert!(is_usual(&server), "{}", server.address);
        assert!(of_process(Server::pid(bundle.path()), "cmdline").contains("-log-level=INFO"));
    }
}

#[test]
fn a_closed_standard_input_is_an_empty_one() {
    let bundle = bundle();
    let inner = call(bundle.path(), &["start"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" <&-"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(bundle.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server { address: address(&output(&mut command)) };
    assert!(is_usual(&server));
}

#[test]
fn runtime_options_cost_one_line_in_the_log() {
    let bundle = bundle();
    let mut log = Log::of(bundle.path());
    let options = [field(1, b"containerd.runc.v1.Options"), field(2, &[0x10, 1])].concat();
    let _server = started_with(bundle.path(), &options);
    let text = log.text();
    assert_eq!(text.matches("runtime options of type").count(), 1, "{text}");
    assert!(text.contains("containerd.runc.v1.Options"), "{text}");
}

#[test]
fn a_directory_that_no_socket_fits_into_is_not_used() {
    let long = format!("/tmp/{}", "x".repeat(40));
    for dir in [long.as_str(), "relative/directory"] {
        let bundle = bundle();
        let mut log = Log::of(bundle.path());
        let server = started_with(bundle.path(), &params(dir));
        assert!(is_usual(&server), "{}", server.address);
        let text = log.text();
        assert!(text.contains("it must be absolute and at most 41 bytes long"), "{text}");
    }
}

#[test]
fn the_flags_and_the_environment_count_more() {
    let bundle = bundle();
    let mut command = call(bundle.path(), &["-debug", "start"]);
    command.env("TTRPC_ADDRESS", "/run/somebody.ttrpc").stdin(Stdio::piped());
    let mut child = command.spawn().expect("the shim runs");
    let mut bytes = params("");
    // "Error" instead of "debug".
    let at = bytes.iter().position(|byte| *byte == 0xfc).expect("the level");
    bytes.splice(at..at + 10, [8]);
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("taken");
    let server = Server { address: address(&finish(child)) };
    let pid = Server::pid(bundle.path());
    assert!(of_process(pid, "environ").contains("TTRPC_ADDRESS=/run/somebody.ttrpc "));
    assert!(of_process(pid, "cmdline").contains("-log-level=DEBUG"));
    drop(server);
}

/// What the binary answers to one word, with `input` on standard input.
fn asked(word: &str, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(Artifacts::from_env().shim());
    command.arg(word).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the shim runs");
    // The shim has no options, so it may have answered and gone by now.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = finish(child);
    assert!(output.status.success() && output.stderr.is_empty(), "{word}");
    output.stdout
}

#[test]
fn info_is_one_message() {
    for input in [&b""[..], &field(1, b"runtimeoptions.v1.Options")] {
        let info = RuntimeInfo::parse_from_bytes(&asked("-info", input)).expect("a RuntimeInfo");
        assert_eq!(info.name, "io.containerd.mica.v2");
        assert_eq!(info.version.version, env!("CARGO_PKG_VERSION"));
        assert!(!info.version.revision.is_empty());
    }
}

#[test]
fn a_person_is_told_version_and_usage() {
    let text = |word| String::from_utf8(asked(word, b"")).expect("text");
    let version = text("--version");
    let lines: Vec<&str> = version.lines().collect();
    assert_eq!(lines[..2], ["containerd-shim-mica-v2:", concat!("  Version:  ", env!("CARGO_PKG_VERSION"))]);
    assert!(lines[2].starts_with("  Revision: ") && lines[3].starts_with("  Rust:     1."), "{version}");
    assert_eq!(lines.len(), 4);
    assert_eq!(text("-v"), version);
    assert!(text("-h").starts_with("Usage: containerd-shim-mica-v2 -namespace NAME "));
    assert_eq!(text("-h"), text("--help"));
}
