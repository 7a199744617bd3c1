//! Calls of the RTOS for files, in a directory of its own with a secret beside it, and for the network, in one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use micrun::rpc::{Network, Outcome, Rpc, SharedFiles};
use openamp::rpmsg::PAYLOAD_LEN;
use rustix::fs::{Dev, FileType, Mode, mknodat};

use super::{Runner, Source, mutate};

/// Numbers of calls: all that exist, some that do not.
const CALLS: u64 = 130;
/// Where those of the network begin.
const NETWORK: u64 = 100;
const PRINTF: u64 = 300;
/// Calls of one execution: enough to open, write, read back, link and close.
const MOST: usize = 12;
/// Offsets at which calls have numbers, descriptors and handles.
const FIELDS: [usize; 8] = [8, 12, 16, 20, 24, 28, 32, 144];
/// Offsets at which calls have texts.
const TEXTS: [usize; 6] = [12, 16, 20, 24, 140, 152];
/// Flags of `open`: reading, writing anew, appending, a directory; and what is refused.
const FLAGS: [u64; 6] = [0, 0o1101, 0o2102, 0o40000, 0o20_040_002, 0o10_000_000];
const WORDS: [&str; 16] = [
    "/",
    "file",
    "/inside/file",
    "new",
    "..",
    "../secret",
    "/../../secret",
    "out",
    "out/secret",
    "fifo",
    "inside",
    "inside/../../secret",
    "nameXXXXXX",
    "r+",
    "w",
    "a",
];
/// Numbers that calls of the network take: levels, options, flags, lengths of addresses.
const NUMBERS: [u64; 10] = [0, 1, 2, 6, 7, 13, 16, 20, 28, 0x40];
/// Numbers of calls of the network that have another layout than most.
const SOCKET: u64 = 120;
const CONNECT: [u64; 2] = [111, 112];
const SEND: u64 = 116;
const SEND_TO: u64 = 117;
/// Loopback, all interfaces, nobody and IPv6's loopback, all with port 4096 or 0; and what is none.
const SOCKADDRS: [&[u8]; 6] = [
    b"\x02\0\x10\0\x7f\0\0\x01\0\0\0\0\0\0\0\0",
    b"\x02\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x02\0\0\0\xc0\0\x02\x01\0\0\0\0\0\0\0\0",
    b"\x0a\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0",
    b"\x01\0/run/socket\0",
    b"localhost\0",
];
/// What is beside the root.
const SECRET: &str = "nobody is told, nobody changes it";

/// Removes its directory when it is dropped.
struct Ground(PathBuf);

impl Ground {
    fn new() -> Ground {
        let ground = Ground(std::env::temp_dir().join(format!("micrun-fuzz-rpc-{}", std::process::id())));
        must(fs::create_dir_all(&ground.0));
        must(fs::write(ground.0.join("secret"), SECRET));
        ground
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// The same files for every execution.
    fn renew(&self, network: Network) -> Rpc {
        let root = self.root();
        if root.exists() {
            must(fs::remove_dir_all(&root));
        }
        must(fs::create_dir_all(root.join("inside")));
        must(fs::write(root.join("file"), "0x2a text\n".repeat(50)));
        must(std::os::unix::fs::symlink("..", root.join("out")));
        must(mknodat(
            rustix::fs::CWD,
            root.join("fifo"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            Dev::default(),
        ));
        must(Rpc::open(&SharedFiles { root, network, ..SharedFiles::default() }))
    }

    /// Nothing happened beside the root.
    fn judge(&self) {
        assert_eq!(must(fs::read_to_string(self.0.join("secret"))), SECRET);
        assert_eq!(must(fs::read_dir(&self.0)).count(), 2, "a file beside the root");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn runner() -> Runner {
    let ground = Ground::new();
    let network = private_network(&ground);
    let mut message = Vec::new();
    Box::new(move |source| {
        let online = source.one_in(2);
        let mut rpc = ground.renew(if online { network.clone() } else { Network::Off });
        for number in 0..1 + source.below(MOST) {
            if online && !source.one_in(8) {
                build_for_network(source, number, &mut message);
            } else {
                build(source, &mut message);
            }
            let outcome = rpc.call(&message);
            judge(outcome);
            rpc.go_on().into_iter().for_each(judge);
        }
        ground.judge();
    })
}

/// Answers and what is printed are no longer than they may be, and say nothing of the secret.
fn judge(outcome: Outcome) {
    assert!(outcome.printed.len() <= PAYLOAD_LEN, "{} bytes printed", outcome.printed.len());
    let told = outcome.reply.unwrap_or_default();
    assert!(told.is_empty() || (16..=PAYLOAD_LEN).contains(&told.len()), "{} bytes", told.len());
    // What the remote wrote itself may come back, but it never wrote this.
    let secret = SECRET.as_bytes();
    assert!(!told.windows(secret.len()).any(|bytes| bytes == secret), "the secret is told");
}

/// Moves this thread to a network in which there is nothing but itself, so that no call reaches anybody. Without the
/// privilege for that, calls of the network are refused.
fn private_network(ground: &Ground) -> Network {
    let here = || fs::read_link(Path::new("/proc/thread-self/ns/net")).ok();
    let before = here();
    drop(ground.renew(Network::New));
    if before.is_none() || here() == before {
        eprintln!("rpc: no network of its own, so calls of the network are only refused");
        return Network::Off;
    }
    // Without this, or without `ip`, every address is out of reach, which is less to try.
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    Network::Host
}

/// A call with likely values where calls have them, changed once in four.
fn build(source: &mut Source, message: &mut Vec<u8>) {
    message.clear();
    message.resize(12 + source.below(PAYLOAD_LEN - 12), 0);
    let id = if source.one_in(20) { PRINTF } else { source.below(CALLS as usize) as u64 };
    put(message, 0, &id.to_le_bytes());
    for at in FIELDS {
        let value = match source.below(4) {
            0 => source.tricky(),
            1 => FLAGS[source.below(FLAGS.len())],
            _ => source.below(12) as u64,
        };
        put(message, at, &value.to_le_bytes()[..4]);
        put(message, at + 4, &[0; 4]);
    }
    if source.one_in(3) {
        put(message, TEXTS[source.below(TEXTS.len())], WORDS[source.below(WORDS.len())].as_bytes());
    } else {
        likely_text(source, id, message);
    }
    if source.one_in(4) {
        mutate::bytes(source, message);
    }
}

/// The call of the network with that number in its execution, with likely values, changed once in eight.
fn build_for_network(source: &mut Source, number: usize, message: &mut Vec<u8>) {
    message.clear();
    message.resize(64 + source.below(PAYLOAD_LEN - 64), 0);
    // Without a socket there is nothing to call.
    let is_socket = number == 0 || source.one_in(6);
    let any = NETWORK + source.below((CALLS - NETWORK) as usize) as u64;
    let id = match source.below(8) {
        _ if is_socket => SOCKET,
        0 | 1 => CONNECT[source.below(2)],
        2 => SEND_TO,
        _ => any,
    };
    put(message, 0, &id.to_le_bytes());
    put(message, 12, &[3 + source.below(2) as u8]);
    // Numbers of four bytes at multiples of eight are numbers of eight bytes too.
    for at in (16..32).step_by(4) {
        let likely = if source.one_in(3) { 0 } else { NUMBERS[source.below(NUMBERS.len())] };
        let value = if source.one_in(8) { source.tricky() } else { likely };
        put(message, at, &value.to_le_bytes()[..4]);
    }
    let address = SOCKADDRS[source.below(SOCKADDRS.len())];
    match id {
        SOCKET => {
            put(message, 12, &[[2, 10][source.below(2)], 0, 0, 0, 1 + source.below(2) as u8]);
            put(message, 17, &[8 * source.below(2) as u8, 0, 0, 0, 0, 0, 0]);
        }
        111 | 112 => put(message, 16, &[&(address.len() as u32).to_le_bytes()[..], address].concat()),
        SEND => put(message, 16, &[1 + source.below(40) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        SEND_TO => {
            put(message, 16, &[1 + source.below(40) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            put(message, 28, &[&(address.len() as u32).to_le_bytes()[..], address].concat());
        }
        // Names, and the bytes of addresses.
        102 | 103 => put(message, [12, 20][source.below(2)], address),
        // Counts of eight bytes.
        _ => put(message, 28, &[0; 4]),
    }
    if source.one_in(8) {
        mutate::bytes(source, message);
    }
}

/// Paths where the call of that number has them.
fn likely_text(source: &mut Source, id: u64, message: &mut [u8]) {
    let at = match id {
        1 => 20,
        47 | 15 => 24,
        49 | 53 | 55 => 16,
        _ => 12,
    };
    let mut word = || [WORDS[source.below(WORDS.len())].as_bytes(), &[0]].concat();
    put(message, at, &word());
    if matches!(id, 10 | 14 | 29) {
        put(message, 140, &word());
    }
}

/// Writes as much of `bytes` at `at` as the message has room for.
fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in message.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

/// The ground itself is not what is tested.
fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("the fuzzer's own directory: {error}"))
}
