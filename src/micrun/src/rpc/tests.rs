//! Calls as the RTOS sends them, byte by byte.

use std::os::unix::fs::symlink;

use std::os::fd::AsFd;

use nix::sys::eventfd::EventFd;
use tempfile::TempDir;

use super::*;

const TRACE: u32 = 0x0102_0304;

/// A message: id, trace id, and fields at their offsets.
fn message(id: u64, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..].copy_from_slice(&TRACE.to_le_bytes());
    for (at, field) in fields {
        let end = at + field.len();
        bytes.resize(bytes.len().max(end), 0);
        bytes[*at..end].copy_from_slice(field);
    }
    bytes
}

/// A container's files, and an RTOS that sees them.
struct Setting {
    dir: TempDir,
    rpc: Rpc,
}

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    id: u32,
    status: i32,
    errno: i32,
    fields: Vec<u8>,
}

impl Answer {
    fn int(&self) -> i32 {
        i32::from_le_bytes(self.fields[..4].try_into().expect("an int"))
    }

    fn long(&self) -> i64 {
        i64::from_le_bytes(self.fields[..8].try_into().expect("a long"))
    }
}

impl Setting {
    fn new() -> Setting {
        let dir = TempDir::new().expect("a directory");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("made");
        std::fs::write(dir.path().join("secret"), "outside").expect("written");
        let rpc = Rpc::open(&SharedFiles { root, ..SharedFiles::default() }).expect("a root");
        Setting { dir, rpc }
    }

    /// An RTOS that may use the host's network.
    fn with_network() -> Setting {
        let mut setting = Setting::new();
        let files = SharedFiles { root: setting.path(""), network: Network::Host, ..SharedFiles::default() };
        setting.rpc = Rpc::open(&files).expect("a root");
        setting
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(name)
    }

    fn call(&mut self, id: u64, fields: &[(usize, &[u8])]) -> Answer {
        let mut outcome = self.rpc.call(&message(id, fields));
        let bell = EventFd::new().expect("an eventfd");
        while outcome.reply.is_none() {
            assert_eq!((self.rpc.parked.len(), outcome.late), (1, false));
            waiting::sleep(&self.rpc.parked, &self.rpc.files, bell.as_fd());
            outcome = self.rpc.go_on().pop().unwrap_or_default();
            assert_eq!(outcome.late, outcome.reply.is_some());
            outcome.late = false;
        }
        Setting::read(&outcome.reply.expect("an answer"))
    }

    fn read(reply: &[u8]) -> Answer {
        let word = |at: usize| u32::from_le_bytes(reply[at..at + 4].try_into().expect("a word"));
        assert_eq!(word(8), TRACE);
        Answer { id: word(0), status: word(4) as i32, errno: word(12) as i32, fields: reply[16..].to_vec() }
    }

    fn open(&mut self, path: &str, flags: i32) -> Answer {
        self.call(1, &[(12, &flags.to_le_bytes()), (16, &0o644_u32.to_le_bytes()), (20, path.as_bytes())])
    }

    fn fopen(&mut self, path: &str, mode: &str) -> i64 {
        self.call(10, &[(12, path.as_bytes()), (140, mode.as_bytes())]).long()
    }
}

const CREATE: i32 = 0o100;
const WRITE: i32 = 1;

#[test]
fn a_file_is_written_and_read_by_descriptor() {
    let mut setting = Setting::new();
    let opened = setting.open("/a", CREATE | WRITE);
    assert_eq!((opened.id, opened.status, opened.errno, opened.int()), (1, 0, 0, 3));
    let fd = 3_i32.to_le_bytes();
    let written = setting.call(3, &[(12, &fd), (16, &5_u32.to_le_bytes()), (20, b"hello")]);
    assert_eq!(written.long(), 5);
    assert_eq!(setting.call(2, &[(12, &fd)]).int(), 0);
    assert_eq!(std::fs::read(setting.path("a")).expect("there"), b"hello");
    assert_eq!(setting.open("a", 0).int(), 3);
    let read = setting.call(4, &[(12, &fd), (16, &1000_u32.to_le_bytes())]);
    // 8 bytes of count, and as many of data as were read.
    assert_eq!((read.long(), &read.fields[8..]), (5, &b"hello"[..]));
    let at = setting.call(5, &[(12, &fd), (16, &1_i64.to_le_bytes()), (24, &0_i32.to_le_bytes())]);
    assert_eq!(at.long(), 1);
    assert_eq!(setting.call(2, &[(12, &9_i32.to_le_bytes())]).errno, libc::EBADF);
}

#[test]
fn no_path_leads_out_of_the_container() {
    let mut setting = Setting::new();
    let secret = setting.dir.path().join("secret").display().to_string();
    symlink(&secret, setting.path("absolute")).expect("linked");
    symlink("../../secret", setting.path("relative")).expect("linked");
    for path in
        [secret.as_str(), "/absolute", "relative", "../secret", "/../../secret", "/proc/self/root/etc/passwd"]
    {
        let refused = setting.open(path, 0);
        assert_eq!((refused.int(), refused.errno), (-1, libc::ENOENT), "{path}");
    }
    std::fs::create_dir(setting.path("inside")).expect("made");
    assert_eq!(setting.call(54, &[(12, b"/inside")]).int(), 0);
    assert_eq!(setting.call(54, &[(12, b"../../..")]).int(), 0);
    let renamed = setting.call(29, &[(12, b"../../secret"), (140, b"stolen")]);
    assert_eq!(renamed.errno, libc::ENOENT);
    assert_eq!(setting.call(30, &[(12, b"../../../secret")]).errno, libc::ENOENT);
    assert!(setting.dir.path().join("secret").exists());
}

#[test]
fn what_is_no_plain_file_is_not_opened() {
    let mut setting = Setting::new();
    nix::unistd::mkfifo(&setting.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    assert_eq!(setting.open("fifo", 0).errno, libc::EACCES);
    assert_eq!(setting.open("fifo", CREATE | WRITE).errno, libc::EACCES);
}

#[test]
fn streams_read_lines_and_push_back() {
    let mut setting = Setting::new();
    std::fs::write(setting.path("lines"), "one\ntwo").expect("written");
    let handle = setting.fopen("lines", "r");
    assert!(handle > 3);
    let handle = handle.to_le_bytes();
    let gets = |setting: &mut Setting| setting.call(16, &[(16, &handle), (24, &100_i32.to_le_bytes())]);
    let line = gets(&mut setting);
    assert_eq!((line.int(), &line.fields[4..]), (0, &b"one\n\0"[..]));
    assert_eq!(setting.call(20, &[(16, &handle)]).int(), i32::from(b't'));
    assert_eq!(
        setting.call(26, &[(12, &i32::from(b'T').to_le_bytes()), (16, &handle)]).int(),
        i32::from(b'T')
    );
    assert_eq!(setting.call(33, &[(16, &handle)]).long(), 4);
    assert_eq!(&gets(&mut setting).fields[4..], b"Two\0");
    assert_eq!(setting.call(17, &[(16, &handle)]).int(), 1);
    assert_eq!(gets(&mut setting).int(), 1);
    assert_eq!(setting.call(11, &[(16, &handle)]).int(), 0);
    assert_eq!(setting.call(11, &[(16, &handle)]).errno, libc::EBADF);
}

#[test]
fn items_are_counted_and_their_bytes_told() {
    let mut setting = Setting::new();
    let handle = setting.fopen("items", "w+").to_le_bytes();
    let (size, count) = (4_u64.to_le_bytes(), 3_u64.to_le_bytes());
    let written = setting.call(13, &[(16, &size), (24, &count), (32, &handle), (40, b"aaaabbbbcccc")]);
    assert_eq!(written.long(), 3);
    setting.call(32, &[(16, &handle), (24, &0_i64.to_le_bytes()), (32, &0_i32.to_le_bytes())]);
    let read = setting.call(12, &[(16, &size), (24, &2_u64.to_le_bytes()), (32, &handle)]);
    assert_eq!((read.long(), &read.fields[8..]), (2, &b"aaaabbbb"[..]));
    let huge = u64::MAX.to_le_bytes();
    let refused = setting.call(13, &[(16, &huge), (24, &huge), (32, &handle), (40, b"x")]);
    assert_eq!((refused.long(), refused.errno), (-1, libc::EINVAL));
}

#[test]
fn what_is_printed_goes_to_the_console_without_an_answer() {
    let mut setting = Setting::new();
    let mut printf = 300_u64.to_le_bytes().to_vec();
    printf.extend_from_slice(&5_i32.to_le_bytes());
    printf.extend_from_slice(b"hello and more");
    assert_eq!(setting.rpc.call(&printf), Outcome { printed: b"hello".to_vec(), ..Outcome::default() });
    let mut fprintf = 18_u64.to_le_bytes().to_vec();
    fprintf.extend_from_slice(&2_u64.to_le_bytes());
    fprintf.extend_from_slice(&3_i32.to_le_bytes());
    fprintf.extend_from_slice(b"err");
    assert_eq!(setting.rpc.call(&fprintf), Outcome { printed: b"err".to_vec(), ..Outcome::default() });
    let written = message(3, &[(12, &1_i32.to_le_bytes()), (16, &2_u32.to_le_bytes()), (20, b"hi")]);
    assert_eq!(setting.rpc.call(&written).printed, b"hi");
}

#[test]
fn a_directory_is_listed_and_a_file_described() {
    let mut setting = Setting::new();
    assert_eq!(setting.call(55, &[(12, &0o755_u32.to_le_bytes()), (16, b"/d")]).int(), 0);
    std::fs::write(setting.path("d/file"), "12345").expect("written");
    let fd = setting.open("/d", 0o40000).int().to_le_bytes();
    let listed = setting.call(9, &[(12, &432_u32.to_le_bytes()), (16, &0_i64.to_le_bytes()), (24, &fd)]);
    let len = i32::from_le_bytes(listed.fields[8..12].try_into().expect("a length"));
    assert_eq!(listed.fields.len(), 12 + len as usize);
    assert!(listed.fields.windows(5).any(|bytes| bytes == b"file\0"));
    let described = setting.call(39, &[(12, b"d/file")]);
    assert_eq!((described.int(), described.fields.len()), (0, 128));
    // `size` is at 64 of the params, which begin 8 bytes before the fields.
    assert_eq!(i64::from_le_bytes(described.fields[56..64].try_into().expect("a size")), 5);
    assert_eq!(setting.call(56, &[(12, b"d")]).errno, libc::ENOTEMPTY);
    assert_eq!(setting.call(8, &[(12, b"d/file")]).id, 7);
    assert_eq!(setting.call(56, &[(12, b"d")]).int(), 0);
}

#[test]
fn programs_and_the_network_are_refused() {
    let mut setting = Setting::new();
    for id in [25, 48, 52, 112, 120, 111] {
        assert_eq!(setting.call(id, &[(12, b"reboot")]).errno, libc::EPERM, "{id}");
    }
    let unknown = setting.call(999, &[]);
    assert_eq!((unknown.id, unknown.status), (999, -1));
}

#[test]
fn descriptors_run_out_and_come_back() {
    let mut setting = Setting::new();
    while setting.open("many", CREATE).int() >= 0 {}
    assert_eq!(setting.open("many", 0).errno, libc::EMFILE);
    assert_eq!(setting.fopen("many", "r"), 0);
    assert_eq!(setting.call(2, &[(12, &7_i32.to_le_bytes())]).int(), 0);
    assert_eq!(setting.open("many", 0).int(), 7);
}

#[test]
fn no_message_breaks_it() {
    let mut setting = Setting::new();
    setting.open("a", CREATE | 2);
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    for round in 0..20_000_u64 {
        let mut bytes: Vec<u8> = (0..usize::from(random()) * 2).map(|_| random()).collect();
        if let Some(id) = bytes.get_mut(..8) {
            id.copy_from_slice(&(round % 130).to_le_bytes());
        }
        let outcome = setting.rpc.call(&bytes);
        assert!(outcome.reply.is_none_or(|reply| reply.len() <= PAYLOAD_LEN));
    }
}

#[test]
fn a_read_only_volume_refuses_and_another_takes() {
    let dir = TempDir::new().expect("a directory");
    let root = dir.path().join("root");
    std::fs::create_dir(&root).expect("made");
    std::fs::write(dir.path().join("fixed"), "fixed").expect("written");
    let volume = |name: &str, access: &str| {
        let source = dir.path().join(name).display().to_string();
        let options = ["rbind", access].map(str::to_owned).to_vec();
        let mount = crate::rootfs::Mount { kind: "bind".to_owned(), source, options };
        Volume { destination: format!("/data/{name}"), mount }
    };
    std::fs::create_dir(dir.path().join("ours")).expect("made");
    symlink("/etc/passwd", dir.path().join("ours/out")).expect("linked");
    let volumes = vec![volume("fixed", "ro"), volume("ours", "rw"), volume("missing", "rw")];
    let files = SharedFiles { root, volumes, network: Network::Off };
    // A thread of its own, as the mounts are its.
    let calls = std::thread::spawn(move || {
        let mut rpc = Rpc::open(&files).expect("mounted");
        let mut open = |path: &str, flags: i32| {
            let mode = 0o644_u32.to_le_bytes();
            let request = message(1, &[(12, &flags.to_le_bytes()), (16, &mode), (20, path.as_bytes())]);
            let reply = rpc.call(&request).reply.expect("an answer");
            i32::from_le_bytes(reply[12..16].try_into().expect("a number"))
        };
        assert_eq!(open("/data/fixed", 0), 0);
        assert_eq!(open("/data/fixed", WRITE), libc::EROFS);
        assert_eq!(open("/data/ours/new", CREATE | WRITE), 0);
        assert_eq!(open("/data/ours/out", 0), libc::ENOENT);
    });
    calls.join().expect("all as it should be");
    assert!(dir.path().join("ours/new").exists());
    // Seen by nobody else.
    assert_eq!(std::fs::read(dir.path().join("root/data/fixed")).expect("there"), b"");
}

#[test]
fn a_temporary_file_lies_in_the_root_and_has_no_name() {
    let mut setting = Setting::new();
    let handle = setting.call(23, &[]).long().to_le_bytes();
    assert_eq!(setting.call(15, &[(16, &handle), (24, b"text")]).int(), 0);
    assert_eq!(setting.call(33, &[(16, &handle)]).long(), 4);
    assert_eq!(std::fs::read_dir(setting.path("")).expect("a directory").count(), 0);
    std::fs::remove_dir(setting.path("")).expect("empty");
    assert_eq!(setting.call(23, &[]).errno, libc::ENOENT);
}

#[test]
fn a_number_behind_endless_white_space_is_not_searched_for() {
    let mut setting = Setting::new();
    std::fs::write(setting.path("blank"), [b" ".repeat(1 << 20), b"0x2a ".to_vec()].concat())
        .expect("written");
    let handle = setting.fopen("blank", "r").to_le_bytes();
    assert_eq!(setting.call(57, &[(144, &handle)]).long(), -1);
    assert!(setting.call(33, &[(16, &handle)]).long() < 1000);
    setting.call(27, &[(16, &handle), (24, &(1_i64 << 20).to_le_bytes()), (32, &0_i32.to_le_bytes())]);
    let found = setting.call(57, &[(144, &handle)]);
    assert_eq!((found.long(), &found.fields[8..]), (1, &42_i64.to_le_bytes()[..]));
}

mod network {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, UdpSocket};

    use super::super::address::{decode, encode};
    use super::*;

    fn word(value: i32) -> [u8; 4] {
        value.to_le_bytes()
    }

    impl Setting {
        /// A socket; `kind` 1 is TCP, 2 is UDP.
        fn socket(&mut self, kind: i32) -> i32 {
            self.call(120, &[(12, &word(2)), (16, &word(kind)), (20, &word(0))]).int()
        }

        /// `bind` (111) or `connect` (112).
        fn to(&mut self, call: u64, fd: i32, address: SocketAddr) -> Answer {
            let address = encode(&address);
            self.call(call, &[(12, &word(fd)), (16, &word(address.len() as i32)), (20, &address)])
        }

        fn own_address(&mut self, fd: i32) -> SocketAddr {
            let answer = self.call(107, &[(12, &word(fd)), (16, &word(28)), (20, &[0; 28])]);
            let len = i32::from_le_bytes(answer.fields[4..8].try_into().expect("a length")) as usize;
            assert_eq!(answer.fields.len(), 8 + len);
            decode(&answer.fields[8..]).expect("an address")
        }

        fn send(&mut self, fd: i32, text: &[u8]) -> i64 {
            let len = (text.len() as u64).to_le_bytes();
            self.call(116, &[(12, &word(fd)), (16, &len), (24, &word(0)), (28, text)]).long()
        }

        fn recv(&mut self, fd: i32, flags: i32) -> Answer {
            self.call(114, &[(12, &word(fd)), (16, &word(flags)), (24, &1000_u64.to_le_bytes())])
        }
    }

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().expect("an address")
    }

    #[test]
    fn nothing_reaches_the_network_unless_it_was_asked_for() {
        let mut setting = Setting::new();
        let shapes =
            [(101, 16), (102, 8), (103, 8), (105, 8), (107, 8), (108, 8), (110, 436), (111, 4), (112, 4)];
        let more =
            [(113, 4), (114, 8), (115, 16), (116, 8), (117, 8), (118, 4), (119, 4), (120, 4), (124, 436)];
        for (call, len) in shapes.into_iter().chain(more) {
            let refused = setting.call(call, &[(16, &[0; 400])]);
            assert_eq!(
                (refused.status, refused.errno, refused.fields.len()),
                (0, libc::EPERM, len),
                "{call}"
            );
        }
        assert_eq!(setting.call(121, &[]).status, -1);
        // What `freeaddrinfo` is told has no answer.
        assert_eq!(setting.rpc.call(&message(100, &[])), Outcome::default());
    }

    #[test]
    fn a_client_talks_to_a_server() {
        let mut setting = Setting::with_network();
        let server = TcpListener::bind(local()).expect("a port");
        let fd = setting.socket(1);
        assert_eq!(setting.to(112, fd, server.local_addr().expect("bound")).int(), 0);
        let (mut peer, from) = server.accept().expect("a client");
        assert_eq!(setting.own_address(fd), from);
        assert_eq!(setting.send(fd, b"question"), 8);
        let mut asked = [0; 8];
        peer.read_exact(&mut asked).expect("all of it");
        assert_eq!(&asked, b"question");
        // MSG_DONTWAIT: nothing is there yet.
        assert_eq!(setting.recv(fd, 0x40).errno, libc::EAGAIN);
        let answering = std::thread::spawn(move || peer.write_all(b"answer"));
        let answer = setting.recv(fd, 0);
        assert_eq!((answer.long(), &answer.fields[8..]), (6, &b"answer"[..]));
        answering.join().expect("no panic").expect("sent");
        // Its end, by the call for files.
        assert_eq!(setting.call(4, &[(12, &word(fd)), (16, &word(100))]).long(), 0);
        assert_eq!(setting.call(2, &[(12, &word(fd))]).int(), 0);
        let refused = setting.socket(1);
        drop(server);
        let nobody = TcpListener::bind(local()).and_then(|port| port.local_addr()).expect("a free port");
        assert_eq!(setting.to(112, refused, nobody).errno, libc::ECONNREFUSED);
    }

    #[test]
    fn a_server_waits_while_other_calls_go_on() {
        let mut setting = Setting::with_network();
        let fd = setting.socket(1);
        assert_eq!(setting.to(111, fd, local()).int(), 0);
        assert_eq!(setting.call(113, &[(12, &word(fd)), (16, &word(5))]).int(), 0);
        let address = setting.own_address(fd);
        let accept = message(110, &[(12, &word(fd)), (16, &word(16)), (20, &[0; 16])]);
        assert_eq!(setting.rpc.call(&accept), Outcome::default());
        assert_eq!(setting.rpc.parked.len(), 1);
        assert!(setting.rpc.go_on().is_empty());
        std::fs::write(setting.path("file"), "text").expect("written");
        let opened = setting.rpc.call(&message(1, &[(12, &word(0)), (16, &word(0)), (20, b"file")]));
        assert_eq!(Setting::read(&opened.reply.expect("an answer")).int(), 4);
        let client = std::net::TcpStream::connect(address).expect("accepted by the kernel");
        let over = setting.rpc.go_on();
        assert!(over.len() == 1 && over[0].late);
        let accepted = Setting::read(over[0].reply.as_ref().expect("an answer"));
        // 444 bytes and the address, as upstream sends it.
        assert_eq!((accepted.int(), accepted.fields.len()), (5, 436 + 16));
        assert_eq!(decode(&accepted.fields[8..24]), Ok(client.local_addr().expect("bound")));
        // Closing what a call waits for ends the call.
        assert_eq!(setting.rpc.call(&accept), Outcome::default());
        let closed = setting.rpc.call(&message(2, &[(12, &word(fd))]));
        assert_eq!(Setting::read(&closed.reply.expect("an answer")).int(), 0);
        let over = setting.rpc.go_on();
        assert_eq!(Setting::read(over[0].reply.as_ref().expect("an answer")).errno, libc::EBADF);
    }

    #[test]
    fn datagrams_tell_where_they_come_from() {
        let mut setting = Setting::with_network();
        let peer = UdpSocket::bind(local()).expect("a port");
        let to = encode(&peer.local_addr().expect("bound"));
        let fd = setting.socket(2);
        let fields = [&to[..], b"ping"].concat();
        let (len, to_len) = (4_u64.to_le_bytes(), word(to.len() as i32));
        let sent =
            setting.call(117, &[(12, &word(fd)), (16, &len), (24, &word(0)), (28, &to_len), (32, &fields)]);
        assert_eq!(sent.long(), 4);
        let mut bytes = [0; 8];
        let (len, from) = peer.recv_from(&mut bytes).expect("a datagram");
        assert_eq!(&bytes[..len], b"ping");
        peer.send_to(b"pong", from).expect("sent");
        let room = 1000_u64.to_le_bytes();
        let got = setting.call(115, &[(12, &word(fd)), (16, &word(0)), (20, &word(16)), (24, &room)]);
        assert_eq!((got.int(), &got.fields[8..16]), (16, &4_i64.to_le_bytes()[..]));
        assert_eq!((&got.fields[16..32], &got.fields[144..]), (&to[..], &b"pong"[..]));
    }

    #[test]
    fn waits_end_at_the_limit_of_the_socket_and_of_the_call() {
        let mut setting = Setting::with_network();
        let fd = setting.socket(2);
        assert_eq!(setting.to(111, fd, local()).int(), 0);
        // SO_RCVTIMEO, 20 ms.
        let limit = [0_i64.to_le_bytes(), 20_000_i64.to_le_bytes()].concat();
        let set = [(12, &word(fd)[..]), (16, &word(1)), (20, &word(20)), (24, &word(16)), (28, &limit)];
        assert_eq!(setting.call(118, &set).int(), 0);
        assert_eq!(setting.recv(fd, 0).errno, libc::EAGAIN);
        let told = setting.call(108, &[(12, &word(fd)), (16, &word(16)), (20, &word(1)), (24, &word(20))]);
        assert_eq!(told.fields[8..], limit);
        let poll = [(12, &word(20)[..]), (16, &word(fd)), (20, &word(1)), (272, &1_u64.to_le_bytes())];
        let polled = setting.call(104, &poll);
        assert_eq!((polled.int(), polled.fields.len()), (0, 260));
        let mut set = [0; 128];
        set[0] = 1 << fd;
        let select = [
            (12, &word(fd + 1)[..]),
            (16, &set),
            (400, &[0; 8]),
            (408, &20_000_i64.to_le_bytes()),
            (416, &[1, 0, 0, 1]),
        ];
        let selected = setting.call(109, &select);
        assert_eq!((&selected.fields[..128], &selected.fields[400..404]), (&[0; 128][..], &word(0)[..]));
        UdpSocket::bind(local()).expect("a port").send_to(b"x", setting.own_address(fd)).expect("sent");
        assert_eq!(setting.call(104, &poll).int(), 1);
        let selected = setting.call(109, &select);
        assert_eq!((&selected.fields[..128], &selected.fields[400..404]), (&set[..], &word(1)[..]));
    }

    #[test]
    fn other_kinds_of_sockets_and_the_host_s_options_are_refused() {
        let mut setting = Setting::with_network();
        let mut made = |domain, kind, protocol| {
            setting.call(120, &[(12, &word(domain)), (16, &word(kind)), (20, &word(protocol))]).errno
        };
        assert_eq!(made(1, 1, 0), libc::EAFNOSUPPORT);
        assert_eq!(made(16, 3, 0), libc::EAFNOSUPPORT);
        assert_eq!(made(2, 3, 1), libc::ESOCKTNOSUPPORT);
        assert_eq!(made(2, 2, 1), libc::EPROTONOSUPPORT);
        let fd = setting.socket(1);
        let mut option = |level, name, value: &[u8]| {
            let len = word(value.len() as i32);
            let fields =
                [(12, &word(fd)[..]), (16, &word(level)), (20, &word(name)), (24, &len), (28, value)];
            setting.call(118, &fields).errno
        };
        // SO_REUSEADDR and TCP_NODELAY; SO_BINDTODEVICE, SO_MARK, IP_TRANSPARENT; lingering.
        assert_eq!([option(1, 2, &word(1)), option(6, 1, &word(1))], [0, 0]);
        assert_eq!(option(1, 25, b"eth0"), libc::ENOPROTOOPT);
        assert_eq!([option(1, 36, &word(1)), option(0, 19, &word(1))], [libc::ENOPROTOOPT; 2]);
        assert_eq!(option(1, 13, &[word(1), word(60)].concat()), libc::EINVAL);
        assert_eq!(option(1, 13, &[word(1), word(0)].concat()), 0);
        let file = setting.open("/a", CREATE | WRITE).int();
        assert_eq!(setting.recv(file, 0).errno, libc::ENOTSOCK);
        let opened = setting.call(45, &[(12, &word(fd)), (16, b"r+")]);
        assert_eq!(opened.errno, libc::EOPNOTSUPP);
    }

    #[test]
    fn names_are_those_of_the_container() {
        let mut setting = Setting::with_network();
        std::fs::create_dir(setting.path("etc")).expect("made");
        std::fs::write(setting.path("etc/hosts"), "192.0.2.7 sensor\n").expect("written");
        let found = setting.call(103, &[(12, b"192.0.2.9")]);
        let entry = &found.fields[8..];
        assert_eq!(&entry[..8], &[24, 0, 0, 0, 34, 0, 0, 0]);
        assert_eq!((&entry[8..12], &entry[24..]), (&[0, 0, 1, 0][..], &b"192.0.2.9\0\xc0\0\x02\x09"[..]));
        let found = setting.call(103, &[(12, b"sensor")]);
        assert!(found.fields.ends_with(b"sensor\0\xc0\0\x02\x07"));
        assert_eq!(setting.call(103, &[(12, b"elsewhere")]).fields, [word(1), word(0)].concat());
        let found = setting.call(102, &[(12, &word(4)), (16, &word(2)), (20, &[192, 0, 2, 7])]);
        assert!(found.fields[8..].windows(7).any(|part| part == b"sensor\0"));
        let unknown = setting.call(102, &[(12, &word(4)), (16, &word(2)), (20, &[192, 0, 2, 8])]);
        assert_eq!(unknown.fields, [word(1), word(0)].concat());
        // Hints: any family, streams; then node and service, by their places and by their lengths.
        let hints = [word(0), word(0), word(1), word(0), word(0), word(0)].concat();
        let buffer = [&hints[..], b"192.0.2.9\0", b"80\0"].concat();
        for places in [[0, 24, 34], [24, 10, 3]] {
            let [a, b, c] = places.map(word);
            let len = word(buffer.len() as i32);
            let fields = [(12, &word(1)[..]), (16, &a), (20, &b), (24, &c), (28, &len), (32, &buffer)];
            let found = setting.call(101, &fields);
            assert_eq!(found.fields[..16], [word(0), word(0), word(1), word(40)].concat());
            assert_eq!(decode(&found.fields[40..]), Ok("192.0.2.9:80".parse().expect("an address")));
        }
        assert_eq!(setting.call(123, &[(12, &word(-2))]).fields[4..], *b"name does not resolve\0");
    }
}
