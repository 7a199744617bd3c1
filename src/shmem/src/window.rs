//! A bounds-checked view of raw shared memory.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::memory::{Fault, Memory};

/// Bytes that another party may write at any time. Holding one proves that `size` bytes from the base are mapped,
/// readable and writable for `'m`.
#[derive(Clone, Copy, Debug)]
pub struct Window<'m> {
    base: NonNull<u8>,
    size: usize,
    mapped: PhantomData<&'m ()>,
}

impl<'m> Window<'m> {
    /// Makes a window over `size` bytes at `base`; a null `base` gives an empty window.
    ///
    /// # Safety
    /// *Implementation:* only volatile accesses inside `base..base + size` are made. *Caller:* that range must stay
    /// mapped readable and writable for `'m`, and no Rust reference may point into it meanwhile.
    pub const unsafe fn from_raw(base: *mut u8, size: usize) -> Window<'m> {
        match NonNull::new(base) {
            Some(base) => Window { base, size, mapped: PhantomData },
            None => Window { base: NonNull::dangling(), size: 0, mapped: PhantomData },
        }
    }

    /// The part `at..at + len` as a window of its own.
    pub fn part(&self, at: usize, len: usize) -> Result<Window<'m>, Fault> {
        let base = self.locate(at, len, 1)?;
        Ok(Window { base, size: len, mapped: PhantomData })
    }

    /// Checks bounds and alignment of one access; the pointer it gives is valid for `len` bytes.
    #[inline]
    fn locate(&self, at: usize, len: usize, align: usize) -> Result<NonNull<u8>, Fault> {
        let fault = Fault { at, len, size: self.size };
        let end = at.checked_add(len).ok_or(fault)?;
        if end > self.size {
            return Err(fault);
        }
        // SAFETY: at <= end <= size, so the result stays inside the mapping or one past its end.
        let pointer = unsafe { self.base.add(at) };
        if !pointer.addr().get().is_multiple_of(align) {
            return Err(fault);
        }
        Ok(pointer)
    }
}

macro_rules! word_access {
    ($load:ident, $store:ident, $word:ty) => {
        #[inline]
        fn $load(&self, at: usize) -> Result<$word, Fault> {
            const WIDTH: usize = size_of::<$word>();
            let pointer = self.locate(at, WIDTH, WIDTH)?.cast::<$word>();
            // SAFETY: `locate` checked bounds and alignment; every bit pattern is a valid integer.
            Ok(<$word>::from_le(unsafe { pointer.read_volatile() }))
        }

        #[inline]
        fn $store(&self, at: usize, value: $word) -> Result<(), Fault> {
            const WIDTH: usize = size_of::<$word>();
            let pointer = self.locate(at, WIDTH, WIDTH)?.cast::<$word>();
            // SAFETY: `locate` checked bounds and alignment.
            unsafe { pointer.write_volatile(value.to_le()) };
            Ok(())
        }
    };
}

/// Bytes of one bulk step: the widest aligned access that every mapping type allows.
const STEP: usize = size_of::<u64>();

/// Bytes of several steps without a loop around each, which would cost as much as the access.
const BLOCK: usize = 4 * STEP;

/// Bytes in front of the first [`STEP`]-aligned address at or after `pointer`, at most `len`.
#[inline]
fn lead(pointer: NonNull<u8>, len: usize) -> usize {
    (pointer.addr().get().wrapping_neg() % STEP).min(len)
}

/// Reads `out.len()` single bytes from `cursor`, which the caller has checked; gives the place after them.
#[inline]
fn read_bytes(mut cursor: NonNull<u8>, out: &mut [u8]) -> NonNull<u8> {
    for byte in out {
        // SAFETY: the caller has checked the range that `cursor` walks through.
        *byte = unsafe { cursor.read_volatile() };
        // SAFETY: as above; at most one past the end.
        cursor = unsafe { cursor.add(1) };
    }
    cursor
}

/// Writes `bytes` one by one to `cursor`, which the caller has checked; gives the place after them.
#[inline]
fn write_bytes(mut cursor: NonNull<u8>, bytes: &[u8]) -> NonNull<u8> {
    for byte in bytes {
        // SAFETY: the caller has checked the range that `cursor` walks through.
        unsafe { cursor.write_volatile(*byte) };
        // SAFETY: as above; at most one past the end.
        cursor = unsafe { cursor.add(1) };
    }
    cursor
}

/// Reads whole steps from `cursor`, which the caller has checked and aligned; gives the place after them.
#[inline]
fn read_words(mut cursor: NonNull<u8>, out: &mut [u8]) -> NonNull<u8> {
    for word in out.as_chunks_mut::<STEP>().0 {
        // SAFETY: the caller has checked the range that `cursor` walks through, and that it begins aligned.
        *word = unsafe { cursor.cast::<u64>().read_volatile() }.to_ne_bytes();
        // SAFETY: as above; at most one past the end.
        cursor = unsafe { cursor.add(STEP) };
    }
    cursor
}

/// Writes whole steps to `cursor`, which the caller has checked and aligned; gives the place after them.
#[inline]
fn write_words(mut cursor: NonNull<u8>, bytes: &[u8]) -> NonNull<u8> {
    for word in bytes.as_chunks::<STEP>().0 {
        // SAFETY: the caller has checked the range that `cursor` walks through, and that it begins aligned.
        unsafe { cursor.cast::<u64>().write_volatile(u64::from_ne_bytes(*word)) };
        // SAFETY: as above; at most one past the end.
        cursor = unsafe { cursor.add(STEP) };
    }
    cursor
}

impl Memory for Window<'_> {
    fn size(&self) -> usize {
        self.size
    }

    word_access!(load_u8, store_u8, u8);
    word_access!(load_u16, store_u16, u16);
    word_access!(load_u32, store_u32, u32);
    word_access!(load_u64, store_u64, u64);

    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault> {
        let from = self.locate(at, out.len(), 1)?;
        let (head, rest) = out.split_at_mut(lead(from, out.len()));
        let mut cursor = read_bytes(from, head);
        let (blocks, rest) = rest.as_chunks_mut::<BLOCK>();
        for block in blocks {
            cursor = read_words(cursor, block);
        }
        let (words, tail) = rest.as_chunks_mut::<STEP>();
        cursor = read_words(cursor, words.as_flattened_mut());
        read_bytes(cursor, tail);
        Ok(())
    }

    fn copy_in(&self, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        let to = self.locate(at, bytes.len(), 1)?;
        let (head, rest) = bytes.split_at(lead(to, bytes.len()));
        let mut cursor = write_bytes(to, head);
        let (blocks, rest) = rest.as_chunks::<BLOCK>();
        for block in blocks {
            cursor = write_words(cursor, block);
        }
        let (words, tail) = rest.as_chunks::<STEP>();
        cursor = write_words(cursor, words.as_flattened());
        write_bytes(cursor, tail);
        Ok(())
    }

    fn zero(&self, at: usize, len: usize) -> Result<(), Fault> {
        const ZEROES: [u8; 256] = [0; 256];
        self.locate(at, len, 1)?;
        let mut done = 0;
        while done < len {
            let step = (len - done).min(ZEROES.len());
            self.copy_in(at + done, &ZEROES[..step])?;
            done += step;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A window over `words`, shifted by `skew` bytes so that alignment varies.
    fn skewed(words: &mut [u64], skew: usize) -> Window<'_> {
        let size = size_of_val(words);
        // SAFETY: the borrow of `words` lasts as long as the window.
        let whole = unsafe { Window::from_raw(words.as_mut_ptr().cast(), size) };
        whole.part(skew, size - skew).expect("the skew is small")
    }

    #[test]
    fn words_outside_or_misaligned_are_refused() {
        let mut words = [0; 2];
        let window = skewed(&mut words, 0);
        assert_eq!(window.load_u64(9), Err(Fault { at: 9, len: 8, size: 16 }));
        assert!(window.load_u16(16).is_err());
        assert!(window.load_u32(2).is_err());
        assert!(window.store_u8(usize::MAX, 1).is_err());
        assert!(window.part(8, 9).is_err());
    }

    #[test]
    fn words_are_little_endian() {
        let mut words = [0; 1];
        let window = skewed(&mut words, 0);
        window.store_u32(4, 0x0102_0304).expect("in bounds");
        let mut bytes = [0; 4];
        window.copy_out(4, &mut bytes).expect("in bounds");
        assert_eq!(bytes, [4, 3, 2, 1]);
    }

    proptest! {
        #[test]
        fn bulk_copies_touch_exactly_their_range(skew in 0usize..8, at in 0usize..40, len in 0usize..80) {
            let mut words = [u64::MAX; 20];
            let window = skewed(&mut words, skew);
            let pattern: Vec<u8> = (0..len).map(|i| i as u8).collect();
            window.copy_in(at, &pattern).expect("in bounds");
            let mut all = vec![0; window.size()];
            window.copy_out(0, &mut all).expect("in bounds");
            prop_assert!(all[..at].iter().all(|byte| *byte == 0xff));
            prop_assert_eq!(&all[at..at + len], &pattern[..]);
            prop_assert!(all[at + len..].iter().all(|byte| *byte == 0xff));
            window.zero(at, len).expect("in bounds");
            window.copy_out(0, &mut all).expect("in bounds");
            prop_assert_eq!(all.iter().filter(|byte| **byte == 0).count(), len);
        }
    }
}
