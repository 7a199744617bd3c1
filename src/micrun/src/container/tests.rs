//! The life of a container on a fake core: states, events, streams, ends.

mod creation;
mod defects;
mod life;
mod managed;
mod pause;
mod resources;
mod services;
mod streams;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use tempfile::TempDir;

use super::{Container, Request, State, Surroundings};
use crate::config::RuntimeOptions;
use crate::console::Streams;
use crate::error::{Error, Kind};
use crate::events::{Event, Events, Item};
use crate::pedestal::nursery::Nursery;
use crate::queue::Receiver;
use crate::reactor::{Ended, Reactor};
use crate::sandbox::Sandbox;
use crate::store::Record;
use crate::sys;
use firmware::test_elf::{TestElf, table_with_vendor_entries};

const DEADLINE: Duration = Duration::from_secs(10);
const CONFIG: &str =
    r#"{"root":{"path":"rootfs"},"annotations":{"org.openeuler.micrun.ped.pedestal":"fake"}}"#;

/// One reactor serves all tests, as it serves all containers of a pod.
static REACTOR: LazyLock<Reactor> = LazyLock::new(|| Reactor::start().expect("a thread"));

/// A sandbox, the queue of its events, and a bundle with firmware and FIFOs.
struct Setting {
    sandbox: Sandbox,
    events: Receiver<Item>,
    bundle: TempDir,
}

impl Setting {
    fn new() -> Setting {
        let (events, queue) = Events::new();
        let (reactor, nursery) = (REACTOR.clone(), Nursery::new().0);
        let surroundings = Surroundings { reactor, events, namespace: "default".into(), nursery };
        let bundle = TempDir::new().expect("a directory");
        std::fs::create_dir(bundle.path().join("rootfs")).expect("made");
        std::fs::write(bundle.path().join("rootfs/firmware.elf"), TestElf::new().build()).expect("written");
        std::fs::write(bundle.path().join("config.json"), CONFIG).expect("written");
        for stream in ["stdin", "stdout", "stderr"] {
            nix::unistd::mkfifo(&bundle.path().join(stream), Mode::S_IRWXU).expect("a fifo");
        }
        Setting { sandbox: Sandbox::new(surroundings), events: queue, bundle }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bundle.path().join(name)
    }

    fn create(&self, id: &str) -> Result<u32, Error> {
        self.create_before(id, None)
    }

    fn create_before(&self, id: &str, deadline: Option<Instant>) -> Result<u32, Error> {
        let stream = |name| self.path(name).display().to_string();
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(stream);
        let streams = Streams { stdin, stdout, stderr, terminal: false };
        let bundle = self.bundle.path().to_owned();
        self.sandbox.create(Request { id: id.to_owned(), bundle, streams, deadline, ..Request::default() })
    }

    /// A running container.
    fn running(&self) -> Arc<Container> {
        self.create("c").expect("created");
        let container = self.sandbox.get("c").expect("there");
        container.start().expect("started");
        container
    }

    /// One that runs and has shown its prompt, and the client's end of standard output.
    fn at_prompt(&self) -> (Arc<Container>, File) {
        let (container, mut reader) = (self.running(), self.reader());
        read_until(&mut reader, b"# ");
        (container, reader)
    }

    /// The client's end of standard output.
    fn reader(&self) -> File {
        self.reader_of("stdout")
    }

    fn reader_of(&self, stream: &str) -> File {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK).open(self.path(stream)).expect("a reader")
    }

    fn type_in(&self, bytes: &[u8]) {
        let mut writer = OpenOptions::new().write(true).open(self.path("stdin")).expect("a writer");
        writer.write_all(bytes).expect("room");
    }

    /// The next event.
    fn event(&self) -> Event {
        match self.events.recv_timeout(DEADLINE).expect("an event in time") {
            Item::Event { id, event, .. } => {
                assert_eq!(id, "c");
                event
            }
            Item::Flush(_) => panic!("nobody flushes"),
        }
    }

    fn no_more_events(&self) {
        assert!(self.events.try_recv().is_err());
    }
}

/// How the container ends; waits until it has.
fn end_of(container: &Container) -> Ended {
    container.wait_for(DEADLINE).expect("the end in time")
}

/// Reads until `wanted` has come; gives all that came.
fn read_until(reader: &mut File, wanted: &[u8]) -> Vec<u8> {
    let begun = Instant::now();
    let mut read = Vec::new();
    while !read.windows(wanted.len()).any(|window| window == wanted) {
        assert!(begun.elapsed() < DEADLINE, "no {wanted:?} in {read:?}");
        let mut chunk = [0; 4096];
        match reader.read(&mut chunk) {
            Ok(len) => read.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    read
}

/// Waits until standard input is empty.
fn taken(input: &File) {
    let begun = Instant::now();
    while sys::unread(input.as_fd()).expect("a fifo") > 0 {
        assert!(begun.elapsed() < DEADLINE, "no input is taken");
        thread::yield_now();
    }
}

fn kind<T>(result: Result<T, Error>) -> Kind {
    result.err().expect("an error").kind()
}

/// Connects to a socket in the bundle as soon as it is there.
fn connect(setting: &Setting, name: &str) -> UnixStream {
    let begun = Instant::now();
    let stream = loop {
        match UnixStream::connect(setting.path(name)) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "{name}: {error}"),
        }
        thread::yield_now();
    };
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

fn received(stream: &mut UnixStream, wanted: &[u8]) {
    let mut bytes = vec![0; wanted.len()];
    stream.read_exact(&mut bytes).expect("bytes in time");
    assert_eq!(bytes, wanted);
}

/// A message of the bulk socket.
fn framed(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_le_bytes()[..], data].concat()
}
