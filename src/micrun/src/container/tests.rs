//! The life of a container on a fake core: states, events, streams, ends.

mod defects;
mod managed;

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

#[test]
fn a_life_from_create_to_delete() {
    let setting = Setting::new();
    let container = setting.running();
    assert_eq!(container.state(), State::Running);
    let mut reader = setting.reader();
    read_until(&mut reader, b"fake core\r\n# ");
    let all: Vec<u8> = (0..=255).collect();
    setting.type_in(&all);
    assert_eq!(read_until(&mut reader, &[254, 255]), all);
    container.kill(15).expect("asked");
    assert_eq!(end_of(&container).status, 143);
    let ended = setting.sandbox.delete("c").expect("deleted");
    assert_eq!(ended.status, 143);
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Start);
    assert_eq!(setting.event(), Event::Exit(ended));
    assert_eq!(setting.event(), Event::Delete(ended));
    setting.no_more_events();
    assert_eq!(kind(setting.sandbox.get("c").map(drop)), Kind::NotFound);
    assert_eq!(Record::read(setting.bundle.path()), None);
}

#[test]
fn power_is_cut_by_sigkill() {
    let setting = Setting::new();
    let container = setting.running();
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    assert_eq!(kind(container.kill(9)), Kind::NotFound);
}

#[test]
fn a_remote_that_lies_ends_its_own_container_only() {
    let (liar, other) = (Setting::new(), Setting::new());
    let (lying, honest) = (liar.running(), other.running());
    read_until(&mut liar.reader(), b"# ");
    liar.type_in(b"lie");
    assert_eq!(end_of(&lying).status, 139);
    let mut reader = other.reader();
    read_until(&mut reader, b"# ");
    other.type_in(b"still here");
    read_until(&mut reader, b"still here");
    assert_eq!(honest.state(), State::Running);
    honest.kill(9).expect("done");
}

#[test]
fn each_request_needs_its_state() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    assert_eq!(kind(setting.create("c")), Kind::AlreadyExists);
    let container = setting.sandbox.get("c").expect("there");
    assert_eq!(kind(container.kill(15)), Kind::FailedPrecondition);
    container.start().expect("started");
    let again = container.start().expect_err("twice");
    assert_eq!(again.to_string(), "container \"c\" is running, start needs it to be created");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::FailedPrecondition);
    assert_eq!(kind(container.kill(28)), Kind::InvalidArgument);
    container.kill(9).expect("done");
    end_of(&container);
    assert_eq!(kind(container.start()), Kind::FailedPrecondition);
    setting.sandbox.delete("c").expect("deleted");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::NotFound);
}

#[test]
fn a_container_that_never_ran_is_deleted_without_an_exit() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let waiters: Vec<_> = (0..3)
        .map(|_| container.clone())
        .map(|container| thread::spawn(move || end_of(&container)))
        .collect();
    let ended = setting.sandbox.delete("c").expect("deleted");
    assert_eq!(ended.status, 137);
    for waiter in waiters {
        assert_eq!(waiter.join().expect("no panic"), ended);
    }
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Delete(ended));
    setting.no_more_events();
}

#[test]
fn sigkill_ends_a_container_that_never_ran() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    container.kill(9).expect("done");
    let ended = end_of(&container);
    assert_eq!(ended.status, 137);
    assert_eq!(kind(container.start()), Kind::FailedPrecondition);
    assert_eq!(setting.sandbox.delete("c").expect("deleted"), ended);
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Exit(ended));
    assert_eq!(setting.event(), Event::Delete(ended));
}

#[test]
fn a_reader_that_does_not_read_delays_neither_kill_nor_delete_for_long() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    // Nobody reads, and the FIFO is full before the first word.
    let mut filler = OpenOptions::new();
    let mut filler =
        filler.write(true).custom_flags(libc::O_NONBLOCK).open(setting.path("stdout")).expect("a writer");
    while filler.write(&[b'x'; 4096]).is_ok() {}
    while filler.write(b"x").is_ok() {}
    let container = setting.sandbox.get("c").expect("there");
    container.start().expect("started");
    // Input is taken only after the greeting was asked for, and the fake core greets at once.
    let input = OpenOptions::new().read(true).write(true).open(setting.path("stdin")).expect("both ends");
    (&input).write_all(b"x").expect("room");
    taken(&input);
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    let begun = Instant::now();
    setting.sandbox.delete("c").expect("deleted");
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn a_paused_core_is_silent_and_loses_nothing() {
    let setting = Setting::new();
    let container = setting.running();
    let mut reader = setting.reader();
    read_until(&mut reader, b"# ");
    container.pause().expect("paused");
    assert_eq!(container.state(), State::Paused);
    let input = OpenOptions::new().read(true).write(true).open(setting.path("stdin")).expect("both ends");
    (&input).write_all(b"while paused").expect("room");
    taken(&input);
    let silent = reader.read(&mut [0; 16]).expect_err("nothing to read");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    container.resume().expect("resumed");
    assert_eq!(read_until(&mut reader, b"while paused"), b"while paused");
    container.kill(9).expect("done");
    let ended = end_of(&container);
    let events = [(); 5].map(|()| setting.event());
    assert!(matches!(events[0], Event::Create { .. }));
    assert_eq!(events[1..], [Event::Start, Event::Paused, Event::Resumed, Event::Exit(ended)]);
}

#[test]
fn pause_and_resume_need_their_states() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let early = container.pause().expect_err("not running");
    assert_eq!(early.to_string(), "container \"c\" is created, pause needs it to be running");
    assert_eq!(kind(container.kill(19)), Kind::FailedPrecondition);
    container.start().expect("started");
    assert_eq!(kind(container.resume()), Kind::FailedPrecondition);
    container.pause().expect("paused");
    let again = container.pause().expect_err("twice");
    assert_eq!(again.to_string(), "container \"c\" is paused, pause needs it to be running");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::FailedPrecondition);
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    assert_eq!(kind(container.pause()), Kind::FailedPrecondition);
    assert_eq!(kind(container.resume()), Kind::FailedPrecondition);
    assert_eq!(kind(container.kill(18)), Kind::NotFound);
}

#[test]
fn stop_and_continue_are_pause_and_resume() {
    let setting = Setting::new();
    let container = setting.running();
    for (signal, state) in
        [(18, State::Running), (19, State::Paused), (19, State::Paused), (18, State::Running)]
    {
        container.kill(signal).expect("done");
        assert_eq!(container.state(), state);
    }
    let events = [(); 4].map(|()| setting.event());
    assert_eq!(events[1..], [Event::Start, Event::Paused, Event::Resumed]);
    setting.no_more_events();
}

#[test]
fn a_paused_core_goes_on_to_power_itself_off() {
    let setting = Setting::new();
    let container = setting.running();
    container.pause().expect("paused");
    container.kill(15).expect("asked");
    let ended = end_of(&container);
    assert_eq!(ended.status, 143);
    let events = [(); 5].map(|()| setting.event());
    assert_eq!(events[2..], [Event::Paused, Event::Resumed, Event::Exit(ended)]);
}

#[test]
fn pauses_and_signals_at_once_end_in_one_state() {
    for _ in 0..50 {
        let setting = Setting::new();
        let container = setting.running();
        let act = |action: fn(&Container) -> Result<(), Error>| {
            let container = container.clone();
            thread::spawn(move || drop(action(&container)))
        };
        let acting =
            [act(Container::pause), act(Container::resume), act(|it| it.kill(15)), act(Container::pause)];
        acting.into_iter().for_each(|thread| thread.join().expect("no panic"));
        // A pause that came first or last only delays the end that was asked for.
        drop(container.resume());
        assert_eq!(end_of(&container).status, 143);
    }
}

#[test]
fn resources_change_as_a_whole_or_not_at_all() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let refusal = |resources: &str| {
        let error = container.update(resources.as_bytes()).expect_err(resources);
        (error.kind(), error.to_string())
    };
    let fixed = "cpu.mems, pids.limit cannot be changed for an emulated core";
    assert_eq!(
        refusal(r#"{"pids":{"limit":5},"cpu":{"cpus":"0","mems":"3"}}"#),
        (Kind::Unimplemented, fixed.to_owned())
    );
    let (invalid, sentence) = refusal(r#"{"cpu":{"cpus":"0-"}}"#);
    assert_eq!(invalid, Kind::InvalidArgument);
    assert_eq!(sentence, "cpu.cpus is \"0-\", it must be a list of cpus like 0-2,5");
    for garbage in ["", "[]", "{", "7", r#"{"cpu":{"cpus":7}}"#, r#"{"cpu":{"cpus":"1023"}}"#] {
        assert_eq!(refusal(garbage).0, Kind::InvalidArgument, "{garbage}");
    }
    let number =
        "resources are not what oci calls linux resources: invalid type: integer `7`, expected a string";
    assert_eq!(refusal(r#"{"cpu":{"cpus":7}}"#).1, number);
    container.update(b"{}").expect("nothing to do");
    // Kept for a start that the fake core, which runs on no CPU, cannot satisfy.
    container.update(br#"{"cpu":{"cpus":"0"}}"#).expect("remembered");
    assert_eq!(kind(container.start()), Kind::Unimplemented);
    assert_eq!(refusal("{}").0, Kind::FailedPrecondition);
}

#[test]
fn cpus_of_the_specification_are_checked_first() {
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"linux":{"resources":{"cpu":{"cpus":"1023"}}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    assert_eq!(kind(setting.create("c")), Kind::InvalidArgument);
}

#[test]
fn standard_error_is_silent_and_ends_with_the_container() {
    let setting = Setting::new();
    let container = setting.running();
    let (mut stdout, mut stderr) = (setting.reader(), setting.reader_of("stderr"));
    read_until(&mut stdout, b"# ");
    let silent = stderr.read(&mut [0]).expect_err("not the end yet");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    container.kill(15).expect("asked");
    end_of(&container);
    setting.sandbox.delete("c").expect("deleted");
    assert_eq!(stdout.read(&mut [0]).expect("the end"), 0);
    assert_eq!(stderr.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn the_streams_are_given_to_the_container_s_user() {
    use std::os::unix::fs::MetadataExt;
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"process":{"user":{"uid":1234,"gid":56}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    setting.create("c").expect("created");
    for stream in ["stdin", "stdout", "stderr"] {
        let fifo = std::fs::metadata(setting.path(stream)).expect("there");
        assert_eq!((fifo.uid(), fifo.gid()), (1234, 56), "{stream}");
    }
}

#[test]
fn a_wrong_annotation_is_the_callers_fault() {
    let setting = Setting::new();
    let config = CONFIG.replace(
        "\"annotations\":{",
        "\"annotations\":{\"org.openeuler.micrun.container.stop_timeout\":\"-1\",",
    );
    std::fs::write(setting.path("config.json"), config).expect("written");
    assert_eq!(kind(setting.create("c")), Kind::InvalidArgument);
}

#[test]
fn the_record_tells_the_end() {
    let setting = Setting::new();
    let container = setting.running();
    assert_eq!(Record::read(setting.bundle.path()).expect("a record").exit(), None);
    container.kill(15).expect("asked");
    end_of(&container);
    // Written before anybody was told.
    let recorded = Record::read(setting.bundle.path()).and_then(|record| record.exit()).expect("an end");
    assert_eq!(recorded.status, 143);
}

#[test]
fn a_failed_create_leaves_no_container_and_no_record() {
    let setting = Setting::new();
    std::fs::write(setting.path("rootfs/firmware.elf"), b"not firmware").expect("written");
    let error = setting.create("c").expect_err("refused");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.to_string().starts_with("firmware \"/firmware.elf\": "), "{error}");
    assert!(setting.sandbox.close());
    assert_eq!(kind(setting.create("c")), Kind::Unavailable);
    assert_eq!(Record::read(setting.bundle.path()), None);
    setting.no_more_events();
}

#[test]
fn a_create_that_nobody_waits_for_leaves_no_container() {
    let setting = Setting::new();
    let late = setting.create_before("c", Some(Instant::now()));
    assert_eq!(kind(late), Kind::Unavailable);
    assert!(setting.sandbox.get("c").is_err());
    assert_eq!(Record::read(setting.bundle.path()), None);
    setting.no_more_events();
    setting.create_before("c", Some(Instant::now() + DEADLINE)).expect("in time");
}

#[test]
fn client_conf_decides_unless_an_annotation_does() {
    let setting = Setting::new();
    std::fs::create_dir_all(setting.path("rootfs/etc/mica")).expect("made");
    let conf =
        |text: &str| std::fs::write(setting.path("rootfs/etc/mica/client.conf"), text).expect("written");
    let refused = || setting.create("c").expect_err("refused").to_string();
    conf("[Mica]\nName=a\nClientPath=/elsewhere.elf\nCPU=2\n");
    assert_eq!(refused(), "the image's \"/elsewhere.elf\": No such file or directory (os error 2)");
    conf("[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=4\n");
    assert!(refused().contains("cpu 4 is not for firmware on board qemu-arm64"), "{}", refused());
    conf("[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=1\nPedestal=jailhouse\nPedestalConf=/x\n");
    // The annotation of the setting says "fake", so jailhouse is not asked for.
    setting.create("c").expect("created");
}

#[test]
fn firmware_is_the_one_that_was_packed() {
    let create = |conf: String, path: &str| {
        let setting = Setting::new();
        std::fs::create_dir_all(setting.path("rootfs/etc/mica")).expect("made");
        std::fs::write(setting.path("rootfs/etc/mica/client.conf"), conf).expect("written");
        let annotation =
            format!("\"annotations\":{{\"org.openeuler.micrun.container.firmware_path\":\"{path}\",");
        let config = CONFIG.replace("\"annotations\":{", &annotation);
        std::fs::write(setting.path("config.json"), config).expect("written");
        setting.create("c").map_err(|error| (error.kind(), error.to_string()))
    };
    let says =
        |path: &str, crc: &str| format!("[Mica]\nName=a\nClientPath={path}\n[Micrun]\nFirmwareCRC32={crc}\n");
    let crc = firmware::checksum::crc32(&TestElf::new().build());
    let torn = format!(
        "firmware \"/firmware.elf\": its crc-32 is {crc}, the image's client.conf says 00000000: \
         it is torn or was changed"
    );
    assert_eq!(create(says("/firmware.elf", "00000000"), ""), Err((Kind::InvalidArgument, torn)));
    create(says("/firmware.elf", &crc), "").expect("the same bytes");
    // What `client.conf` says is of its own firmware only.
    create(says("/other.elf", "00000000"), "/firmware.elf").expect("nothing is said of it");
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

#[test]
fn a_terminal_beside_the_console_is_a_socket() {
    let setting = Setting::new();
    let container = setting.running();
    let mut console = setting.reader();
    read_until(&mut console, b"# ");
    setting.type_in(b"announce rpmsg-tty1");
    let mut first = connect(&setting, "rpmsg-tty1.sock");
    let mode = std::fs::metadata(setting.path("rpmsg-tty1.sock")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    first.write_all(b"side").expect("room");
    received(&mut first, b"side");
    // The next client takes the place of the first.
    let mut second = connect(&setting, "rpmsg-tty1.sock");
    second.write_all(b"by").expect("room");
    received(&mut second, b"by");
    assert_eq!(first.read(&mut [0; 8]).expect("the end"), 0);
    setting.type_in(b"withdraw rpmsg-tty1");
    assert_eq!(second.read(&mut [0; 8]).expect("the end"), 0);
    setting.type_in(b"still here");
    read_until(&mut console, b"still here");
    assert!(!setting.path("rpmsg-tty1.sock").exists());
    container.kill(9).expect("killed");
    end_of(&container);
}

/// A message of the bulk socket.
fn framed(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_le_bytes()[..], data].concat()
}

#[test]
fn bulk_data_goes_through_the_window_in_both_directions() {
    let setting = Setting::new();
    let container = setting.running();
    let mut console = setting.reader();
    read_until(&mut console, b"# ");
    setting.type_in(b"announce rpmsg-umt");
    // The descriptor of the text that comes first, at the start of the window of the last core.
    read_until(&mut console, b"umt [0, 0, 208, 112, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0]\n");
    let mut client = connect(&setting, "rpmsg-umt.sock");
    for len in [1, 496, 4097, 1 << 20] {
        let data: Vec<u8> = (0..len).map(|index: u32| (index.wrapping_mul(index) >> 7) as u8).collect();
        client.write_all(&framed(&data)).expect("taken");
        received(&mut client, &framed(&data));
    }
    // Many at once: each waits for the one before, none is lost.
    let many: Vec<u8> = (0..100_u32).flat_map(|number| framed(&number.to_le_bytes())).collect();
    client.write_all(&many).expect("taken");
    received(&mut client, &many);
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn a_bulk_client_is_held_to_the_rules_and_the_next_one_begins_anew() {
    let setting = Setting::new();
    let container = setting.running();
    let mut console = setting.reader();
    read_until(&mut console, b"# ");
    setting.type_in(b"announce rpmsg-umt");
    for wrong in [0, (1 << 20) + 1, u32::MAX] {
        let mut client = connect(&setting, "rpmsg-umt.sock");
        client.write_all(&wrong.to_le_bytes()).expect("room");
        assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0, "{wrong}");
    }
    // Half a message is forgotten with its sender.
    let mut client = connect(&setting, "rpmsg-umt.sock");
    client.write_all(&framed(b"whole")).expect("room");
    received(&mut client, &framed(b"whole"));
    client.write_all(&framed(b"never whole")[..8]).expect("room");
    let mut next = connect(&setting, "rpmsg-umt.sock");
    // A reset, if its last bytes were not read yet.
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
    next.write_all(&framed(b"another")).expect("room");
    received(&mut next, &framed(b"another"));
    // The socket stays when the firmware withdraws and announces.
    setting.type_in(b"withdraw rpmsg-umt");
    taken(&File::options().write(true).open(setting.path("stdin")).expect("a writer"));
    setting.type_in(b"announce rpmsg-umt");
    read_until(&mut console, b"umt [0, 0, 208, 112, 0, 0, 0, 0, 32");
    next.write_all(&framed(b"again")).expect("room");
    received(&mut next, &framed(b"again"));
    container.kill(9).expect("killed");
    end_of(&container);
    setting.sandbox.delete("c").expect("deleted");
    assert!(!setting.path("rpmsg-umt.sock").exists());
}

#[test]
fn a_debugger_talks_to_the_stub() {
    let setting = Setting::new();
    let firmware = TestElf::new().resource_table(&table_with_vendor_entries()).build();
    std::fs::write(setting.path("rootfs/firmware.elf"), firmware).expect("written");
    let container = setting.running();
    let mut gdb = connect(&setting, "gdb.sock");
    // The stub is waiting for bytes, as it has stopped: no interrupt tells it of any, so this alone stops it.
    gdb.write_all(b"\x03").expect("room");
    received(&mut gdb, b"$T02#b6");
    // The fake stub looks when it is kicked, as it is with each message to the console.
    gdb.write_all(b"$?#3f").expect("room");
    gdb.set_nonblocking(true).expect("set");
    let (begun, mut echo) = (Instant::now(), Vec::new());
    while echo != b"$?#3f" {
        assert!(begun.elapsed() < DEADLINE, "{echo:?}");
        setting.type_in(b"x");
        let mut bytes = [0; 16];
        if let Ok(len) = gdb.read(&mut bytes) {
            echo.extend_from_slice(&bytes[..len]);
        }
    }
    drop(gdb);
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn firmware_without_debug_rings_has_no_socket() {
    let setting = Setting::new();
    let container = setting.running();
    read_until(&mut setting.reader(), b"# ");
    assert!(!setting.path("gdb.sock").exists());
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn what_a_container_was_made_with_lies_in_its_bundle() {
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"linux":{"resources":{"memory":{"limit":67108864}}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    setting.create("c").expect("created");
    let listing = std::fs::read_to_string(setting.path(crate::config::FILE)).expect("a listing");
    let says = |line: [&str; 3]| listing.lines().any(|found| found.split_whitespace().take(3).eq(line));
    assert!(says(["pedestal", "fake", "annotation"]), "{listing}");
    assert!(says(["limits.memory", "64", "linux.resources"]), "{listing}");
}
