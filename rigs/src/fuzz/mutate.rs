//! Changes to bytes that were valid.

use super::Source;

/// Makes a few changes to `bytes`: flipped bits, tricky words at natural places, parts cut, doubled or moved.
pub(super) fn bytes(source: &mut Source, bytes: &mut Vec<u8>) {
    for _ in 0..1 + source.below(4) {
        one(source, bytes);
    }
}

fn one(source: &mut Source, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(source.word() as u8);
    }
    let at = source.below(bytes.len());
    match source.below(12) {
        0..2 => bytes[at] ^= 1 << source.below(8),
        2..4 => bytes[at] = source.tricky() as u8,
        4 => word(source, bytes, at, 2),
        5..8 => word(source, bytes, at, 4),
        8 => word(source, bytes, at, 8),
        9 => bytes.truncate(at),
        10 => {
            let part = bytes[at..(at + 1 + source.below(64)).min(bytes.len())].to_vec();
            let to = source.below(bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let end = (at + 1 + source.below(16)).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}

/// Overwrites the aligned word of `width` bytes that holds `at`.
fn word(source: &mut Source, bytes: &mut [u8], at: usize, width: usize) {
    let at = at / width * width;
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&source.tricky().to_le_bytes()[..width]);
    }
}
