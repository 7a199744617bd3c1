//! The host's ends against the firmware's, and against one that lies.

use std::cell::RefCell;

use super::*;
use proptest::prelude::*;

const AT: usize = 8;

/// Memory that only this test touches, so that the crate stays without unsafe code here too.
struct Bytes(RefCell<Vec<u8>>);

macro_rules! word_access {
    ($load:ident, $store:ident, $word:ty) => {
        fn $load(&self, at: usize) -> Result<$word, Fault> {
            let mut bytes = [0; size_of::<$word>()];
            self.aligned(at, bytes.len())?;
            self.copy_out(at, &mut bytes)?;
            Ok(<$word>::from_le_bytes(bytes))
        }

        fn $store(&self, at: usize, value: $word) -> Result<(), Fault> {
            self.aligned(at, size_of::<$word>())?;
            self.copy_in(at, &value.to_le_bytes())
        }
    };
}

impl Bytes {
    fn fault(&self, at: usize, len: usize) -> Fault {
        Fault { at, len, size: self.size() }
    }

    fn aligned(&self, at: usize, len: usize) -> Result<(), Fault> {
        if at.is_multiple_of(len) { Ok(()) } else { Err(self.fault(at, len)) }
    }
}

impl Memory for Bytes {
    word_access!(load_u8, store_u8, u8);
    word_access!(load_u16, store_u16, u16);
    word_access!(load_u32, store_u32, u32);
    word_access!(load_u64, store_u64, u64);

    fn size(&self) -> usize {
        self.0.borrow().len()
    }

    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault> {
        let bytes = self.0.borrow();
        let part = bytes.get(at..at + out.len()).ok_or_else(|| self.fault(at, out.len()))?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn copy_in(&self, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        let fault = self.fault(at, bytes.len());
        self.0.borrow_mut().get_mut(at..at + bytes.len()).ok_or(fault)?.copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&self, at: usize, len: usize) -> Result<(), Fault> {
        self.copy_in(at, &vec![0; len])
    }
}

/// Memory for two rings with `len` bytes of data each, and how many bytes they take.
fn memory(len: usize) -> (Bytes, usize) {
    let both = 2 * (HEADER_LEN + len);
    (Bytes(RefCell::new(vec![0xff; AT + both + 8])), both)
}

fn put(writer: &mut Writer, memory: &Bytes, bytes: &[u8]) -> usize {
    let give = |room: &mut [u8]| {
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        len
    };
    writer.write_with(memory, give).expect("no lie")
}

fn take(reader: &mut Reader, memory: &Bytes, most: usize, to: &mut Vec<u8>) -> usize {
    let taken = reader.read_with(memory, |bytes| {
        let len = most.min(bytes.len());
        to.extend_from_slice(&bytes[..len]);
        len
    });
    taken.expect("no lie")
}

#[test]
fn the_layout_is_micas() {
    let (memory, _) = memory(0xff0);
    let (mut reader, mut writer) = host(&memory, AT, 0x2000).expect("room");
    assert_eq!(put(&mut writer, &memory, b"$?#3f"), 5);
    // The second ring: in, out, length, data.
    let words = [0, 4, 8].map(|at| memory.load_u32(AT + 0x1000 + at).expect("inside"));
    assert_eq!(words, [5, 0, 0xff0]);
    let mut data = [0; 5];
    memory.copy_out(AT + 0x1010, &mut data).expect("inside");
    assert_eq!(&data, b"$?#3f");
    // The first one as a stock stub fills it.
    memory.copy_in(AT + 16, b"+").expect("inside");
    memory.store_u32(AT, 1).expect("inside");
    let mut read = Vec::new();
    assert_eq!(take(&mut reader, &memory, 9, &mut read), 1);
    assert_eq!((read.as_slice(), memory.load_u32(AT + 4)), (b"+".as_slice(), Ok(1)));
}

#[test]
fn rings_that_do_not_fit_are_refused() {
    let (memory, both) = memory(16);
    assert!(host(&memory, AT, both + 64).is_err());
    // The second header would not be aligned.
    assert!(host(&memory, AT, 34).is_err());
}

#[test]
fn a_lie_about_a_counter_is_told() {
    let (memory, both) = memory(16);
    let (mut reader, _) = host(&memory, AT, both).expect("room");
    memory.store_u32(AT, 17).expect("inside");
    let lie = reader.read_with(&memory, <[u8]>::len).expect_err("a lie").to_string();
    assert_eq!(lie, "debug ring 0: 0x11 bytes written and 0x0 read, it has room for 16");
}

proptest! {
    /// What is written is read, in order, whatever the length and also where counters wrap (defect S18).
    #[test]
    fn bytes_arrive_in_order(
        words in 1..20usize,
        before_wrap in 0..200u32,
        steps in proptest::collection::vec((0..60usize, 0..60usize), 1..100),
    ) {
        let (memory, both) = memory(4 * words);
        let (mut reader, _) = host(&memory, AT, both).expect("room");
        let (mut writer, _) = firmware(AT, both);
        let start = 0u32.wrapping_sub(before_wrap);
        (reader.end.ours, writer.end.ours) = (start, start);
        memory.store_u32(AT + IN, start).expect("inside");
        memory.store_u32(AT + OUT, start).expect("inside");
        let (mut sent, mut read) = (Vec::new(), Vec::new());
        for (give, most) in steps {
            let bytes: Vec<u8> = (0..give).map(|at| (sent.len() + at) as u8).collect();
            let given = put(&mut writer, &memory, &bytes);
            sent.extend_from_slice(&bytes[..given]);
            take(&mut reader, &memory, most, &mut read);
            prop_assert!(sent.starts_with(&read));
        }
        while take(&mut reader, &memory, PIECE, &mut read) > 0 {}
        prop_assert_eq!(&sent, &read);
        prop_assert!(put(&mut writer, &memory, b"x") == 1, "an empty ring has room");
    }

    /// Counters that change at will cost a violation, never more; nothing beyond the rings is touched.
    #[test]
    fn a_hostile_peer_is_survived(
        counters in proptest::collection::vec((any::<u32>(), any::<u32>(), 0..4u8), 1..50),
    ) {
        let (memory, both) = memory(100);
        let (mut reader, mut writer) = host(&memory, AT, both).expect("room");
        for (written, read, near) in counters {
            // Half of them near enough to be believed.
            let near = |own: u32, any: u32| if near & 1 == 0 { own.wrapping_add(any % 101) } else { any };
            memory.store_u32(AT + IN, near(reader.end.ours, written)).expect("inside");
            memory.store_u32(AT + both / 2 + OUT, near(writer.end.ours, 0u32.wrapping_sub(read % 101)))
                .expect("inside");
            let _ = reader.read_with(&memory, <[u8]>::len);
            let _ = writer.write_with(&memory, |room| { room.fill(0); room.len() });
        }
        prop_assert_eq!(memory.load_u64(0), Ok(u64::MAX));
        prop_assert_eq!(memory.load_u8(AT + both), Ok(u8::MAX));
    }
}
