//! Calls of the RTOS for files, in a directory of its own with a secret beside it.

use std::fs;
use std::path::PathBuf;

use micrun::rpc::{Rpc, SharedFiles};
use openamp::rpmsg::PAYLOAD_LEN;
use rustix::fs::{Dev, FileType, Mode, mknodat};

use super::{Runner, Source, mutate};

/// Numbers of calls: all that exist, some that do not.
const CALLS: u64 = 130;
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
    fn renew(&self) -> Rpc {
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
        must(Rpc::open(&SharedFiles { root, ..SharedFiles::default() }))
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
    let mut message = Vec::new();
    Box::new(move |source| {
        let mut rpc = ground.renew();
        for _ in 0..1 + source.below(MOST) {
            build(source, &mut message);
            let outcome = rpc.call(&message);
            assert!(outcome.printed.len() <= PAYLOAD_LEN, "{} bytes printed", outcome.printed.len());
            let told = outcome.reply.unwrap_or_default();
            assert!(told.is_empty() || (16..=PAYLOAD_LEN).contains(&told.len()), "{} bytes", told.len());
            // What the remote wrote itself may come back, but it never wrote this.
            let secret = SECRET.as_bytes();
            assert!(!told.windows(secret.len()).any(|bytes| bytes == secret), "the secret is told");
        }
        ground.judge();
    })
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
