//! Memory for fuzzing: plain bytes, and on top of them a peer that changes some between any two accesses.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use shmem::{Fault, Memory};

use super::Source;

/// Bytes that only this process has.
pub(super) struct Plain(RefCell<Vec<u8>>);

impl Plain {
    pub(super) fn new(bytes: &[u8]) -> Plain {
        Plain(RefCell::new(bytes.to_vec()))
    }

    fn read<const WIDTH: usize>(&self, at: usize) -> Result<[u8; WIDTH], Fault> {
        let bytes = self.0.borrow();
        let fault = Fault { at, len: WIDTH, size: bytes.len() };
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>);
        word.filter(|_| at.is_multiple_of(WIDTH)).copied().ok_or(fault)
    }

    fn write(&self, at: usize, word: &[u8]) -> Result<(), Fault> {
        if !at.is_multiple_of(word.len()) {
            return Err(Fault { at, len: word.len(), size: self.size() });
        }
        self.copy_in(at, word)
    }

    /// The same range of bytes in both; what `part` does with it is the access.
    fn part<T>(&self, at: usize, len: usize, part: impl FnOnce(&mut [u8]) -> T) -> Result<T, Fault> {
        let mut bytes = self.0.borrow_mut();
        let fault = Fault { at, len, size: bytes.len() };
        let end = at.checked_add(len).ok_or(fault)?;
        bytes.get_mut(at..end).map(part).ok_or(fault)
    }
}

macro_rules! plain_words {
    ($($load:ident, $store:ident, $word:ty;)*) => {$(
        #[inline]
        fn $load(&self, at: usize) -> Result<$word, Fault> {
            Ok(<$word>::from_le_bytes(self.read(at)?))
        }
        #[inline]
        fn $store(&self, at: usize, value: $word) -> Result<(), Fault> {
            self.write(at, &value.to_le_bytes())
        }
    )*};
}

impl Memory for Plain {
    fn size(&self) -> usize {
        self.0.borrow().len()
    }

    plain_words! {
        load_u8, store_u8, u8;
        load_u16, store_u16, u16;
        load_u32, store_u32, u32;
        load_u64, store_u64, u64;
    }

    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault> {
        self.part(at, out.len(), |bytes| out.copy_from_slice(bytes))
    }

    fn copy_in(&self, at: usize, from: &[u8]) -> Result<(), Fault> {
        self.part(at, from.len(), |bytes| bytes.copy_from_slice(from))
    }

    fn zero(&self, at: usize, len: usize) -> Result<(), Fault> {
        self.part(at, len, |bytes| bytes.fill(0))
    }
}

/// Memory that another party writes to while it is used, and that knows what is not to be written by us.
pub(super) struct Hostile {
    pub(super) bytes: Plain,
    source: RefCell<Source>,
    /// A change comes before one access in so many; 0 is never.
    pub(super) one_in: Cell<usize>,
    /// Words worth changing: indices, elements, headers.
    pub(super) spots: Vec<Range<usize>>,
    /// What is only the peer's to write.
    pub(super) theirs: Vec<Range<usize>>,
}

impl Hostile {
    pub(super) fn new(size: usize, source: Source) -> Hostile {
        let (spots, theirs) = (Vec::new(), Vec::new());
        Hostile {
            bytes: Plain::new(&vec![0x5a; size]),
            source: source.into(),
            one_in: 0.into(),
            spots,
            theirs,
        }
    }

    /// What the peer does now: nothing, or a tricky value somewhere.
    #[inline]
    fn meanwhile(&self) {
        let (one_in, mut source) = (self.one_in.get(), self.source.borrow_mut());
        if one_in != 0 && source.one_in(one_in) {
            self.scribble(&mut source);
        }
    }

    /// Changes two bytes, most often where it matters.
    pub(super) fn scribble(&self, source: &mut Source) {
        let everywhere = 0..self.bytes.size();
        let spot = if source.one_in(8) { &everywhere } else { &self.spots[source.below(self.spots.len())] };
        let at = (spot.start + source.below(spot.len())) & !1;
        self.bytes.store_u16(at, source.tricky() as u16).expect("inside");
    }

    fn may_write(&self, at: usize, len: usize) {
        let is_theirs = self.theirs.iter().any(|theirs| at < theirs.end && theirs.start < at + len);
        assert!(!is_theirs, "write of {len} bytes at {at:#x}, which are the peer's");
    }
}

macro_rules! hostile_words {
    ($($load:ident, $store:ident, $word:ty;)*) => {$(
        #[inline]
        fn $load(&self, at: usize) -> Result<$word, Fault> {
            self.meanwhile();
            self.bytes.$load(at)
        }
        #[inline]
        fn $store(&self, at: usize, value: $word) -> Result<(), Fault> {
            self.meanwhile();
            self.may_write(at, size_of::<$word>());
            self.bytes.$store(at, value)
        }
    )*};
}

impl Memory for Hostile {
    fn size(&self) -> usize {
        self.bytes.size()
    }

    hostile_words! {
        load_u8, store_u8, u8;
        load_u16, store_u16, u16;
        load_u32, store_u32, u32;
        load_u64, store_u64, u64;
    }

    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault> {
        self.meanwhile();
        self.bytes.copy_out(at, out)
    }

    fn copy_in(&self, at: usize, from: &[u8]) -> Result<(), Fault> {
        self.meanwhile();
        self.may_write(at, from.len());
        self.bytes.copy_in(at, from)
    }

    fn zero(&self, at: usize, len: usize) -> Result<(), Fault> {
        self.may_write(at, len);
        self.bytes.zero(at, len)
    }
}
