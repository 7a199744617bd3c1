//! Calls as the RTOS sends them, byte by byte.

use std::os::unix::fs::symlink;

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
        let rpc = Rpc::open(&SharedFiles { root, volumes: Vec::new() }).expect("a root");
        Setting { dir, rpc }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(name)
    }

    fn call(&mut self, id: u64, fields: &[(usize, &[u8])]) -> Answer {
        let outcome = self.rpc.call(&message(id, fields));
        let reply = outcome.reply.expect("an answer");
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
    assert_eq!(setting.rpc.call(&printf), Outcome { reply: None, printed: b"hello".to_vec() });
    let mut fprintf = 18_u64.to_le_bytes().to_vec();
    fprintf.extend_from_slice(&2_u64.to_le_bytes());
    fprintf.extend_from_slice(&3_i32.to_le_bytes());
    fprintf.extend_from_slice(b"err");
    assert_eq!(setting.rpc.call(&fprintf), Outcome { reply: None, printed: b"err".to_vec() });
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
    let files = SharedFiles { root, volumes };
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
