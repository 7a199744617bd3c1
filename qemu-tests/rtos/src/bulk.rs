//! Bulk transfer over `rpmsg-umt`: messages carry a place in shared memory and a length, the data lies there.
//!
//! As MICA's client has it: the host's data is at the address that it tells, ours goes 1 MiB behind the first address
//! that it ever told, and each side has one message under way.

use openamp::rpmsg::PAYLOAD_LEN;
use shmem::{Fault, Memory};

use crate::buffer::Buffer;
use crate::flood::Flood;
use crate::number::Text;
use crate::rpc::Progress;

/// Most bytes of a message, and where ours begin behind the host's.
pub const HALF: u64 = 0x10_0000;
/// Bytes of a descriptor: u64 address, u32 length, 4 unused.
const DESCRIPTOR_LEN: usize = 16;
/// What is copied at once.
const CHUNK: usize = 1024;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Waits for a message and says what it was.
    Take,
    /// Waits for a message and sends it back.
    Return,
    /// Sends so many bytes of numbered lines.
    Give(u64),
}

/// A message of the host.
#[derive(Clone, Copy, Debug)]
struct Message {
    at: usize,
    len: usize,
}

/// Messages on their way between shell and link.
#[derive(Debug)]
pub struct Bulk<M> {
    /// Shared memory, in which offset 0 is `base`.
    memory: M,
    base: u64,
    /// Where ours begin, once the host has told an address.
    ours: Option<usize>,
    received: Option<Message>,
    /// A command waits for a message.
    pub waiting: bool,
    /// To be sent, if it is not empty.
    pub descriptor: Buffer<PAYLOAD_LEN>,
}

impl<M: Memory> Bulk<M> {
    /// Nothing was told yet. Addresses in `memory` begin at `base`.
    pub const fn new(memory: M, base: u64) -> Bulk<M> {
        Bulk { memory, base, ours: None, received: None, waiting: false, descriptor: Buffer::new() }
    }

    /// Takes a descriptor of the host. The first one is of a text that nobody asked for.
    pub fn hear(&mut self, message: &[u8]) {
        let Some((address, rest)) = message.split_first_chunk().filter(|_| message.len() >= DESCRIPTOR_LEN)
        else {
            return;
        };
        let (address, len) = (u64::from_le_bytes(*address), rest.first_chunk().copied().unwrap_or_default());
        let Some(at) = address.checked_sub(self.base).and_then(|at| usize::try_from(at).ok()) else { return };
        let len = u32::from_le_bytes(len) as usize;
        match self.ours {
            None => self.ours = Some(at + HALF as usize),
            Some(_) => {
                self.waiting = false;
                self.received = Some(Message { at, len });
            }
        }
    }

    /// Does one step; `out` has room for a line.
    pub fn poll<const N: usize>(&mut self, work: Work, out: &mut Buffer<N>) -> Progress {
        let Some(ours) = self.ours else { return done(out, &[b"the host has no window\r\n"]) };
        if !self.descriptor.is_empty() {
            return Progress::Waits;
        }
        let result = match work {
            Work::Give(len) => self.give(ours, len),
            Work::Take | Work::Return => {
                let Some(message) = self.received.take() else {
                    self.waiting = true;
                    return Progress::Waits;
                };
                match work {
                    Work::Take => self.describe(message, out),
                    _ => self.send_back(message, ours),
                }
            }
        };
        match result {
            Ok(()) => Progress::Done,
            Err(_) => done(out, &[b"outside shared memory\r\n"]),
        }
    }

    fn describe<const N: usize>(&self, message: Message, out: &mut Buffer<N>) -> Result<(), Fault> {
        let mut crc = !0;
        self.chunks(message, |_, bytes| {
            crc = bytes.iter().fold(crc, |crc, byte| crc32(crc, *byte));
            Ok(())
        })?;
        let (len, crc) = (Text::decimal(message.len as u64), Text::hex(u64::from(!crc)));
        done(out, &[len.as_bytes(), b" bytes, crc32 ", crc.as_bytes(), b"\r\n"]);
        Ok(())
    }

    fn send_back(&mut self, message: Message, ours: usize) -> Result<(), Fault> {
        self.chunks(message, |at, bytes| self.memory.copy_in(ours + at, bytes))?;
        self.tell(ours, message.len);
        Ok(())
    }

    fn give(&mut self, ours: usize, len: u64) -> Result<(), Fault> {
        let (mut flood, mut at, mut chunk) = (Flood::new(len), ours, Buffer::<CHUNK>::new());
        loop {
            let last = flood.fill(&mut chunk);
            self.memory.copy_in(at, chunk.as_slice())?;
            at += chunk.as_slice().len();
            chunk.clear();
            if last {
                self.tell(ours, at - ours);
                return Ok(());
            }
        }
    }

    /// Has `each` see all of a message: offset and bytes.
    fn chunks(
        &self,
        Message { at, len }: Message,
        mut each: impl FnMut(usize, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut chunk = [0; CHUNK];
        for done in (0..len).step_by(CHUNK) {
            let bytes = &mut chunk[..CHUNK.min(len - done)];
            self.memory.copy_out(at.saturating_add(done), bytes)?;
            each(done, bytes)?;
        }
        Ok(())
    }

    fn tell(&mut self, at: usize, len: usize) {
        self.descriptor.extend(&(self.base + at as u64).to_le_bytes());
        self.descriptor.extend(&(len as u64).to_le_bytes());
    }
}

fn done<const N: usize>(out: &mut Buffer<N>, parts: &[&[u8]]) -> Progress {
    for part in parts {
        out.extend(part);
    }
    Progress::Done
}

/// One byte more (polynomial 0xedb88320).
fn crc32(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use shmem::{Mapping, Window};

    use super::*;

    const BASE: u64 = 0x7000_0000;
    /// Where the host puts its messages.
    const THEIRS: usize = 0x10_0000;

    /// Shared memory for ever.
    pub(crate) fn memory() -> Window<'static> {
        let path = std::env::temp_dir().join(format!(
            "bulk-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        file.set_len(0x30_0000).expect("room");
        let mapping = Box::leak(Box::new(Mapping::new(file.as_fd(), 0, 0x30_0000).expect("mapped")));
        mapping.window()
    }

    fn descriptor(at: usize, len: usize) -> [u8; 16] {
        ((len as u128) << 64 | (u128::from(BASE) + at as u128)).to_le_bytes()
    }

    /// What one step of `work` does and prints.
    fn step(bulk: &mut Bulk<Window<'_>>, work: Work) -> (Progress, String) {
        let mut out = Buffer::<128>::new();
        let progress = bulk.poll(work, &mut out);
        (progress, String::from_utf8_lossy(out.as_slice()).into_owned())
    }

    #[test]
    fn data_is_described_and_sent_back() {
        let memory = memory();
        let mut bulk = Bulk::new(memory, BASE);
        assert_eq!(step(&mut bulk, Work::Take), (Progress::Done, "the host has no window\r\n".to_owned()));
        bulk.hear(&descriptor(THEIRS, 32));
        assert_eq!(step(&mut bulk, Work::Take).0, Progress::Waits);
        memory.copy_in(THEIRS, b"123456789").expect("inside");
        bulk.hear(&descriptor(THEIRS, 9));
        // The check value of CRC-32.
        assert_eq!(step(&mut bulk, Work::Take), (Progress::Done, "9 bytes, crc32 cbf43926\r\n".to_owned()));
        assert_eq!(step(&mut bulk, Work::Return).0, Progress::Waits);
        bulk.hear(&descriptor(THEIRS, 9));
        assert_eq!(step(&mut bulk, Work::Return).0, Progress::Done);
        assert_eq!(bulk.descriptor.as_slice(), descriptor(THEIRS + HALF as usize, 9));
        let mut copy = [0; 9];
        memory.copy_out(THEIRS + HALF as usize, &mut copy).expect("inside");
        assert_eq!(&copy, b"123456789");
    }

    #[test]
    fn numbered_lines_are_given_one_message_at_a_time() {
        let memory = memory();
        let mut bulk = Bulk::new(memory, BASE);
        bulk.hear(&descriptor(THEIRS, 32));
        assert_eq!(step(&mut bulk, Work::Give(HALF)).0, Progress::Done);
        assert_eq!(bulk.descriptor.as_slice(), descriptor(THEIRS + HALF as usize, HALF as usize));
        assert_eq!(step(&mut bulk, Work::Give(1)).0, Progress::Waits);
        let mut line = [0; 9];
        memory.copy_out(THEIRS + HALF as usize + 64, &mut line).expect("inside");
        assert_eq!(&line, b"00000001 ");
    }

    #[test]
    fn a_host_that_lies_is_not_believed() {
        let mut bulk = Bulk::new(memory(), BASE);
        for message in [&descriptor(0, 32)[..15], &[0; 16]] {
            bulk.hear(message);
        }
        assert_eq!(step(&mut bulk, Work::Take).1, "the host has no window\r\n");
        bulk.hear(&descriptor(THEIRS, 32));
        bulk.hear(&descriptor(THEIRS, usize::MAX));
        assert_eq!(step(&mut bulk, Work::Take), (Progress::Done, "outside shared memory\r\n".to_owned()));
    }
}
