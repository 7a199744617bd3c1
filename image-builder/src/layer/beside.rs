//! Packing in a thread of its own, for reading and hashing what is packed take their time as well.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::LayerError;

/// Bytes that are handed over at once, and how often that may be done before they are taken.
const PIECE: usize = 64 << 10;
const DEPTH: usize = 4;

/// A writer whose bytes come out of a channel.
pub(super) struct Handover {
    to: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
}

impl Write for Handover {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(2 * PIECE));
        self.to.send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Has `pack` take in another thread what `write` writes in this one; both must come to a good end.
pub(super) fn beside<T>(
    pack: impl FnOnce(Receiver<Vec<u8>>) -> io::Result<()> + Send,
    write: impl FnOnce(&mut Handover) -> Result<T, LayerError>,
) -> Result<T, LayerError> {
    let (to, from) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let packing = scope.spawn(move || pack(from));
        let mut handover = Handover { to, piece: Vec::with_capacity(2 * PIECE) };
        let written = write(&mut handover).and_then(|value| Ok(handover.flush().map(|()| value)?));
        drop(handover);
        // Of two errors this is the cause: whoever writes sees only that nobody takes it any more.
        packing.join().map_err(|_| io::Error::other("the packer ended"))??;
        written
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_written_arrives_in_order() {
        let bytes: Vec<u8> = (0..3 * PIECE + 17).map(|at| (at % 251) as u8).collect();
        let mut taken = Vec::new();
        let written = beside(
            |from| {
                taken.extend(from.into_iter().flatten());
                Ok(())
            },
            |to| Ok(bytes.chunks(1000).try_for_each(|chunk| to.write_all(chunk))?),
        );
        assert!(written.is_ok() && taken == bytes);
    }

    #[test]
    fn an_error_on_either_side_ends_both() {
        let full = || io::Error::other("full");
        let forever = |to: &mut Handover| loop {
            to.write_all(&[0; PIECE])?;
        };
        let packer: Result<(), _> = beside(|_| Err(full()), forever);
        assert_eq!(packer.expect_err("full").to_string(), "full");
        let writer: Result<(), _> =
            beside(|from| from.into_iter().try_for_each(|_| Ok(())), |_| Err(full().into()));
        assert_eq!(writer.expect_err("full").to_string(), "full");
    }
}
