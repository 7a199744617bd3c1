//! A queue of bytes in an array: what was pushed last leaves last, and nothing is ever allocated.

/// Up to `N` bytes. The space of bytes taken from the front is free again once the buffer runs empty.
#[derive(Debug)]
pub struct Buffer<const N: usize> {
    bytes: [u8; N],
    start: usize,
    end: usize,
}

impl<const N: usize> Buffer<N> {
    /// An empty buffer.
    pub const fn new() -> Buffer<N> {
        Buffer { bytes: [0; N], start: 0, end: 0 }
    }

    /// What is in the buffer, oldest byte first.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that fit at the end.
    pub fn room(&self) -> usize {
        N - self.end
    }

    /// Appends one byte; false, and nothing appended, if there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        self.extend(&[byte]) == 1
    }

    /// Appends as much of `bytes` as fits and says how many that were.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.bytes[self.end..self.end + taken].copy_from_slice(&bytes[..taken]);
        self.end += taken;
        taken
    }

    /// Removes the oldest byte.
    pub fn pop_front(&mut self) -> Option<u8> {
        let byte = *self.as_slice().first()?;
        self.drop_front(1);
        Some(byte)
    }

    /// Removes the newest byte.
    pub fn pop_back(&mut self) -> Option<u8> {
        let byte = *self.as_slice().last()?;
        self.end -= 1;
        Some(byte)
    }

    /// Moves as much as fits to the end of `to`; true if this buffer is empty afterwards.
    pub fn move_to<const M: usize>(&mut self, to: &mut Buffer<M>) -> bool {
        let moved = to.extend(self.as_slice());
        self.drop_front(moved);
        self.is_empty()
    }

    /// Forgets the oldest `count` bytes, or all if there are fewer.
    pub fn drop_front(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        Buffer::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_space_comes_back() {
        let mut buffer = Buffer::<4>::new();
        assert_eq!(buffer.extend(b"abcde"), 4);
        assert!(!buffer.push(b'x'));
        assert_eq!(buffer.pop_front(), Some(b'a'));
        assert_eq!(buffer.pop_back(), Some(b'd'));
        assert_eq!(buffer.as_slice(), b"bc");
        buffer.drop_front(9);
        assert_eq!(buffer.room(), 4);
        assert_eq!(buffer.pop_back(), None);
    }

    #[test]
    fn moving_stops_at_the_room_there_is() {
        let (mut from, mut to) = (Buffer::<8>::new(), Buffer::<3>::new());
        from.extend(b"hello");
        assert!(!from.move_to(&mut to));
        assert_eq!((to.as_slice(), from.as_slice()), (&b"hel"[..], &b"lo"[..]));
        to.clear();
        assert!(from.move_to(&mut to));
        assert_eq!(to.as_slice(), b"lo");
    }
}
