//! The fake does what the description of the real micad says (MICA ABI, sections 1, 3 and 8), seen through its sockets
//! and terminals alone.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fake_micad::{Micad, Options, text};
use nix::sys::termios::{self, LocalFlags, SetArg};

const DEADLINE: Duration = Duration::from_secs(30);

/// A node with files for instances.
struct Ground(fake_micad::Ground);

impl Ground {
    fn new() -> Ground {
        Ground::with(false)
    }

    fn with(deaf: bool) -> Ground {
        let ground = fake_micad::Ground::with(deaf).expect("a node");
        fs::write(ground.path("app.elf"), "elf").expect("written");
        let mut cell = *b"JHCLL\x01\x0d\x00zephyr\0\0";
        cell[5] = 1;
        fs::write(ground.path("zephyr.cell"), cell).expect("written");
        Ground(ground)
    }

    fn micad(&self) -> Micad {
        self.micad_with(self.0.options())
    }

    fn micad_with(&self, options: Options) -> Micad {
        self.0.micad(options).expect("started")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// The whole reply to one request.
    fn ask(&self, socket: &str, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path(&format!("mica/{socket}.socket"))).expect("listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        stream.write_all(request).expect("sent");
        let mut reply = Vec::new();
        match stream.read_to_end(&mut reply) {
            Ok(_) => {}
            // What it did not read of a long command.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        String::from_utf8(reply).expect("text")
    }

    fn message(&self, name: &str, pedestal: &str, conf: &str, cpus: &str) -> Vec<u8> {
        let path = self.path("app.elf").display().to_string();
        packed(&[(66, name), (256, &path), (16, pedestal), (256, conf)], cpus)
    }

    fn create(&self, name: &str, cpus: &str) -> String {
        self.ask("mica-create", &self.message(name, "", "", cpus))
    }

    /// The path of the instance's terminal, as soon as status has it.
    fn terminal(&self, name: &str) -> PathBuf {
        let begun = Instant::now();
        loop {
            let status = self.ask(name, b"status");
            if let Some((_, rest)) = status.split_once("rpmsg-tty(") {
                return rest.split_once(')').expect("closed").0.into();
            }
            assert!(begun.elapsed() < DEADLINE, "{status}");
            thread::yield_now();
        }
    }
}

/// What Python's `struct.pack` makes of `66s256s16s256s?128siiiiii512s512s`, without the numbers.
fn packed(texts: &[(usize, &str)], cpus: &str) -> Vec<u8> {
    let mut message = Vec::new();
    let mut field = |size: usize, value: &str| {
        let end = message.len() + size;
        message.extend_from_slice(value.as_bytes());
        message.resize(end, 0);
    };
    texts.iter().for_each(|(size, value)| field(*size, value));
    field(1, "");
    field(129, cpus);
    message.extend_from_slice(&[0xff; 24]);
    message.resize(1772, 0);
    message
}

/// Opens a terminal as a careful user does: raw.
fn raw(path: &PathBuf) -> fs::File {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(0o400).open(path).expect("a terminal");
    let mut settings = termios::tcgetattr(&file).expect("settings");
    termios::cfmakeraw(&mut settings);
    termios::tcsetattr(&file, SetArg::TCSANOW, &settings).expect("set");
    file
}

fn read_until(file: &mut fs::File, wanted: &str) -> String {
    let mut all = String::new();
    while !all.contains(wanted) {
        let mut bytes = [0; 256];
        let len = file.read(&mut bytes).expect("readable");
        assert!(len > 0, "the end after {all:?}");
        all.push_str(&String::from_utf8_lossy(&bytes[..len]));
    }
    all
}

#[test]
fn replies_to_create() {
    let ground = Ground::new();
    let _micad = ground.micad();
    assert_eq!(ground.create("a", "3"), "MICA-SUCCESS");
    assert!(ground.path("mica/a.socket").exists());
    assert_eq!(ground.create("a", "2"), "a is already createdMICA-FAILED");
    assert_eq!(ground.create("mica-create", "2"), "mica-create is already createdMICA-FAILED");
    let missing = packed(&[(66, "b"), (256, "/no/such"), (16, ""), (256, "")], "3");
    assert_eq!(ground.ask("mica-create", &missing), "No such file: /no/suchMICA-FAILED");
    // No more cores than that.
    assert_eq!(ground.create("b", "64"), "MICA-FAILED");
    // What is no number is core 0, and two instances may have one core.
    for name in ["c", "d"] {
        assert_eq!(ground.create(name, "three"), "MICA-SUCCESS");
    }
    // 65 characters of a name count; a short message has zeroes for the rest.
    let long = "x".repeat(66);
    assert_eq!(ground.create(&long, "0x3"), "MICA-SUCCESS");
    assert!(ground.path(&format!("mica/{}.socket", &long[1..])).exists());
    assert_eq!(ground.ask("mica-create", &ground.message("s", "", "", "1")[..400]), "MICA-SUCCESS");
}

#[test]
fn pedestals_check_what_they_need() {
    let ground = Ground::new();
    let _micad = ground.micad();
    let cell = ground.path("zephyr.cell").display().to_string();
    let elf = ground.path("app.elf").display().to_string();
    for (name, pedestal, conf, cpus, reply) in [
        ("j", "jailhouse", &*cell, "3", "MICA-SUCCESS"),
        ("k", "jailhouse", &*elf, "3", "MICA-FAILED"),
        ("h", "hetero", &*elf, "riscv", "MICA-SUCCESS"),
        ("i", "hetero", &*elf, "3", "MICA-FAILED"),
        // Neither VCPU nor Memory.
        ("x", "xen", &*elf, "1-3", "MICA-FAILED"),
        // A typo is bare metal.
        ("t", "Xen", "", "3", "MICA-SUCCESS"),
    ] {
        let message = ground.message(name, pedestal, conf, cpus);
        assert_eq!(ground.ask("mica-create", &message), reply, "{pedestal} {cpus}");
    }
}

#[test]
fn commands_are_exact_and_short() {
    let ground = Ground::new();
    let _micad = ground.micad();
    ground.create("a", "3");
    for (command, reply) in [
        ("start\n", "Invalid command: start\nMICA-FAILED"),
        ("status ", "Invalid command: status MICA-FAILED"),
        ("set a", "Invalid set command. Usage: set <key> <value>MICA-FAILED"),
        ("settle  this  now", "MICA-FAILED"),
        ("set CPU 1 2", "Invalid set command. Usage: set <key> <value>MICA-FAILED"),
        ("set CPU 1", "MICA-FAILED"),
        ("gdb", "The elf file does not support debugging\nMICA-FAILED"),
        ("stop\0whatever", "MICA-SUCCESS"),
        (
            "frob the instance with great care, please",
            "Invalid command: frob the instance with great carMICA-FAILED",
        ),
    ] {
        assert_eq!(ground.ask("a", command.as_bytes()), reply, "{command:?}");
    }
}

#[test]
fn xen_takes_settings() {
    let ground = Ground::new();
    let _micad = ground.micad();
    let mut message = ground.message("x", "xen", "/image.bin", "1-3");
    message[724..728].copy_from_slice(&2i32.to_ne_bytes());
    message[740..744].copy_from_slice(&256i32.to_ne_bytes());
    assert_eq!(ground.ask("mica-create", &message), "MICA-SUCCESS");
    for (command, verdict) in [
        ("set VCPU 1", "MICA-SUCCESS"),
        ("set  cpuweight  512", "MICA-SUCCESS"),
        ("set CPUCapacity 50", "MICA-SUCCESS"),
        ("set Memory 128", "MICA-SUCCESS"),
        ("set MaxMemory 128", "MICA-SUCCESS"),
        ("set MaxVCPU 3", "MICA-FAILED"),
        ("set CPUCpacity 50", "MICA-FAILED"),
        ("set MaxMem 50", "MICA-FAILED"),
        ("set CPU 2", "MICA-SUCCESS"),
    ] {
        assert_eq!(ground.ask("x", command.as_bytes()), verdict, "{command}");
    }
    let line = format!("{:<30}{:<20}{:<20}MICA-SUCCESS", "x", "2", "Offline");
    assert_eq!(ground.ask("x", b"status"), line);
    assert_eq!(ground.ask("x", b"start"), "MICA-SUCCESS");
    assert_eq!(fs::read(ground.path("domains/x")).expect("a domain"), b"running");
    assert_eq!(ground.ask("x", b"stop"), "MICA-SUCCESS");
    assert!(!ground.path("domains/x").exists());
}

#[test]
fn a_status_line_has_columns_that_overflow() {
    let ground = Ground::new();
    let _micad = ground.micad();
    let name = "a-name-that-is-longer-than-31-bytes-7";
    let cpus = "1,2,3,4,5,6,7,8,9,10,11";
    assert_eq!(ground.create(name, cpus), "MICA-SUCCESS");
    let line = format!("a-name-that-...7              {cpus}Offline             MICA-SUCCESS");
    assert_eq!(ground.ask(name, b"status"), line);
    assert_eq!(ground.create("qemu-zephyr", "3"), "MICA-SUCCESS");
    assert_eq!(ground.ask("qemu-zephyr", b"start"), "MICA-SUCCESS");
    let terminal = ground.terminal("qemu-zephyr");
    assert_eq!(terminal, ground.path("dev/ttyRPMSG0"));
    let line = format!(
        "qemu-zephyr                   3                   Running             \
         rpmsg-tty({}) rpmsg-rpc rpmsg-umt MICA-SUCCESS",
        terminal.display()
    );
    assert_eq!(ground.ask("qemu-zephyr", b"status"), line);
}

#[test]
fn a_life_with_a_terminal() {
    let ground = Ground::new();
    let micad = ground.micad();
    ground.create("a", "3");
    assert_eq!(ground.ask("a", b"start"), "MICA-SUCCESS");
    assert_eq!(ground.ask("a", b"start"), "MICA-FAILED");
    let link = ground.terminal("a");
    let mut terminal = raw(&link);
    // Nothing is printed before the first byte, and each line feed becomes two.
    terminal.write_all(b"echo hello\r").expect("typed");
    let session = read_until(&mut terminal, "\nhello\r\r\nrtos# ");
    assert!(session.starts_with("micrun test RTOS"), "{session}");
    assert_eq!(ground.ask("a", b"stop"), "MICA-SUCCESS");
    assert!(fs::symlink_metadata(&link).is_err(), "the link goes with the endpoint");
    hung_up(&mut terminal);
    assert_eq!(ground.ask("a", b"stop"), "MICA-SUCCESS", "whatever the state");
    assert_eq!(ground.ask("a", b"rm"), "MICA-SUCCESS");
    assert!(!ground.path("mica/a.socket").exists());
    let log = text(&micad.log());
    assert!(log.contains("a.socket > \"start\"\na.socket < \"MICA-SUCCESS\"\n"), "{log}");
    assert!(log.starts_with("mica-create.socket > 1772 bytes\n  @0 \"a\"\n  @66 \""), "{log}");
}

/// The other end is closed: the end of file, soon.
fn hung_up(terminal: &mut fs::File) {
    let mut rest = Vec::new();
    let ended = terminal.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.raw_os_error() == Some(5)));
}

#[test]
fn a_terminal_echoes_until_somebody_makes_it_raw() {
    let ground = Ground::new();
    let _micad = ground.micad_with(Options { named: true, ..ground.0.options() });
    ground.create("a.b", "3");
    ground.ask("a.b", b"start");
    let link = ground.terminal("a.b");
    assert_eq!(link, ground.path("dev/ttyRPMSG_a_b_0"));
    let file = OpenOptions::new().read(true).write(true).custom_flags(0o400).open(link).expect("a terminal");
    let settings = termios::tcgetattr(&file).expect("settings");
    assert!(settings.local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON));
}

#[test]
fn the_end_of_firmware_is_noticed_by_a_question_and_a_crash_by_nobody() {
    let ground = Ground::new();
    let _micad = ground.micad();
    for (name, cpu, word) in [("e", "1", "exit 3\r"), ("c", "2", "crash\r")] {
        ground.create(name, cpu);
        ground.ask(name, b"start");
        raw(&ground.terminal(name)).write_all(word.as_bytes()).expect("typed");
    }
    let begun = Instant::now();
    while !ground.ask("e", b"status").contains("Offline") {
        assert!(begun.elapsed() < DEADLINE);
        thread::yield_now();
    }
    assert!(!ground.path("dev/ttyRPMSG0").exists());
    assert!(ground.ask("c", b"status").contains("Running"));
    assert_eq!(ground.0.node.running(), ["cpu 2"]);
}

#[test]
fn a_killed_micad_leaves_sockets_links_and_cores() {
    let ground = Ground::new();
    let micad = ground.micad();
    ground.create("a", "3");
    ground.ask("a", b"start");
    let link = ground.terminal("a");
    let mut terminal = raw(&link);
    terminal.write_all(b"\r").expect("typed");
    read_until(&mut terminal, "rtos# ");
    micad.kill();
    hung_up(&mut terminal);
    assert!(fs::symlink_metadata(&link).is_ok());
    let refused = UnixStream::connect(ground.path("mica/a.socket")).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(ground.0.node.running(), ["cpu 3"]);
    // The next one knows nothing, and goes on with a core that answers.
    let micad = ground.micad();
    assert!(!ground.path("mica/a.socket").exists());
    ground.create("a", "3");
    assert_eq!(ground.ask("a", b"start"), "MICA-SUCCESS");
    let mut terminal = raw(&ground.terminal("a"));
    terminal.write_all(b"echo again\r").expect("typed");
    let session = read_until(&mut terminal, "again\r\r\nrtos# ");
    assert!(!session.contains("micrun test RTOS"), "it goes on: {session}");
    micad.exit();
    assert!(!ground.path("mica").exists());
    assert_eq!(ground.0.node.running(), ["cpu 3"]);
}

#[test]
fn firmware_that_hears_nothing_keeps_its_core_and_blocks_the_next_start() {
    let ground = Ground::with(true);
    let _micad = ground.micad();
    ground.create("a", "3");
    ground.ask("a", b"start");
    assert_eq!(ground.ask("a", b"stop"), "MICA-SUCCESS");
    assert_eq!(ground.0.node.running(), ["cpu 3"]);
    assert_eq!(ground.ask("a", b"start"), "MICA-FAILED");
    assert!(ground.ask("a", b"status").contains("Ready"));
    assert_eq!(ground.ask("a", b"start"), "MICA-FAILED");
    assert_eq!(ground.ask("a", b"stop"), "MICA-SUCCESS");
    assert!(ground.ask("a", b"status").contains("Offline"));
}

#[test]
fn one_silent_client_holds_up_all_others() {
    let ground = Ground::new();
    let _micad = ground.micad();
    // Served after the silent one, if both are there at once.
    ground.create("z", "3");
    let silent = UnixStream::connect(ground.path("mica/mica-create.socket")).expect("listens");
    let mut other = UnixStream::connect(ground.path("mica/z.socket")).expect("listens");
    other.write_all(b"status").expect("sent");
    other.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
    assert!(other.read(&mut [0]).is_err(), "nobody is served");
    drop(silent);
    other.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut reply = String::new();
    other.read_to_string(&mut reply).expect("a reply");
    assert!(reply.ends_with("MICA-SUCCESS"), "{reply}");
}

#[test]
fn replies_come_in_pieces_and_commands_fail_as_told() {
    let ground = Ground::new();
    let micad = ground.micad_with(Options { trickle: true, ..ground.0.options() });
    assert_eq!(ground.create("a", "3"), "MICA-SUCCESS");
    micad.fail("start");
    micad.delay("status", Duration::from_millis(50));
    assert_eq!(ground.ask("a", b"start"), "MICA-FAILED");
    let begun = Instant::now();
    assert!(ground.ask("a", b"status").ends_with("MICA-SUCCESS"));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    let last = micad.log().pop().expect("logged");
    assert_eq!(last.replies.len(), 2, "text and verdict are sent one after the other");
}
