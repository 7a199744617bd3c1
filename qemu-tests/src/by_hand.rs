//! The shim without containerd: the binary called as containerd calls it, and its server asked directly.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use containerd_shim_protos::api::ShutdownRequest;
use containerd_shim_protos::ttrpc::context;
use containerd_shim_protos::{Client, TaskClient};
use tempfile::TempDir;

use crate::{Artifacts, kill_9, wait_for};

/// For what must happen.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// For what is only tidy.
const UNIMPORTANT: Duration = Duration::from_secs(5);

/// A bundle with the smallest `config.json`. Its path is part of the group's address, so tests do not meet.
///
/// # Panics
/// The disk is full, as with all that follow: they are for tests.
#[must_use]
pub fn bundle() -> TempDir {
    bundle_with(r#"{"root":{"path":"rootfs"}}"#)
}

/// A bundle with this `config.json`.
#[must_use]
pub fn bundle_with(config: &str) -> TempDir {
    let bundle = TempDir::new().expect("a directory");
    fs::write(bundle.path().join("config.json"), config).expect("written");
    bundle
}

/// A call of the binary in `bundle`; the "containerd" of that address is the bundle's own.
#[must_use]
pub fn call(bundle: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(Artifacts::from_env().shim());
    command.current_dir(bundle).args(["-namespace", "calls", "-id", "c1"]);
    command.arg("-address").arg(bundle.join("containerd.sock")).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a call to its end.
pub fn output(command: &mut Command) -> Output {
    finish(command.spawn().expect("the shim runs"))
}

/// Waits for a call to end. Its pipes reach their end only if the server did not inherit them.
#[must_use]
pub fn finish(child: Child) -> Output {
    let waiting = thread::spawn(move || child.wait_with_output().expect("its output"));
    wait_for("the call's end", DEADLINE, || waiting.is_finished().then_some(())).expect("it ends");
    waiting.join().expect("no panic")
}

/// The address that `start` printed.
#[must_use]
pub fn address(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// A running server, ended at the end of the test.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// A connection of its own.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(&self.address).expect("the server answers")
    }

    /// Kills the server and waits until nobody listens any more: a killed process lets go of its descriptors after it
    /// has vanished from most of `/proc`.
    pub fn kill(&self, bundle: &Path) {
        kill_9(Self::pid(bundle)).expect("killed");
        let refused = || UnixStream::connect(self.socket()).is_err().then_some(());
        wait_for("the server's end", DEADLINE, refused).expect("killed");
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        Path::new(self.address.strip_prefix("unix://").expect("a unix address"))
    }

    /// The server's process: the one whose command line names the bundle. There is exactly one.
    #[allow(clippy::must_use_candidate, reason = "that there is one is worth knowing by itself")]
    pub fn pid(bundle: &Path) -> u32 {
        let named = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&*bundle.to_string_lossy())
        };
        let pids: Vec<u32> = fs::read_dir("/proc")
            .expect("proc")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(named)
            .collect();
        assert_eq!(pids.len(), 1, "one server of {}: {pids:?}", bundle.display());
        pids[0]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may be gone already; what is left is for the tests that look.
        let Ok(client) = Client::connect(&self.address) else { return };
        let request = ShutdownRequest::default();
        let _ = TaskClient::new(client).shutdown(context::with_duration(UNIMPORTANT), &request);
    }
}
