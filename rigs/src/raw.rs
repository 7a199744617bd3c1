//! What limits every ring: turns between two processes that do nothing else. Both sides know how many there are.

use anyhow::Result;
use openamp::rpmsg::{HEADER_LEN, PAYLOAD_LEN};
use shmem::{Memory, Window, barrier};

use crate::bell::Bell;

/// Where each side writes its index, and its message, in a window without rings; each in cache lines of its own.
const INDEX: [usize; 2] = [0x100, 0x200];
const MESSAGE: [usize; 2] = [0x1000, 0x2000];

/// The side that begins, or the one that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Begins.
    Ping,
    /// Answers.
    Pong,
}

/// One eventfd each way.
pub fn rings(side: Side, bell: &Bell) -> Result<()> {
    match side {
        Side::Ping => {
            bell.ring()?;
            bell.take()
        }
        Side::Pong => {
            bell.take()?;
            bell.ring()
        }
    }
}

/// One word in one cache line; `turn` is another one each time, never 0.
#[inline]
pub fn word(side: Side, word: &Window<'_>, turn: u32) -> Result<()> {
    let (first, second) = (2 * turn - 1, 2 * turn);
    match side {
        Side::Ping => {
            word.store_u32(0, first)?;
            await_word(word, 0, second)
        }
        Side::Pong => {
            await_word(word, 0, first)?;
            Ok(word.store_u32(0, second)?)
        }
    }
}

/// The least that an exchange of messages of `len` bytes can move: the message with its header, and an index that says
/// that it is there. `turn` is another one each time, never 0.
#[inline]
pub fn message(side: Side, window: &Window<'_>, len: usize, turn: u32) -> Result<()> {
    let mut bytes = [0; HEADER_LEN + PAYLOAD_LEN];
    let bytes = &mut bytes[..HEADER_LEN + len];
    match side {
        Side::Ping => {
            put(window, 0, bytes, turn)?;
            take(window, 1, bytes, turn)
        }
        Side::Pong => {
            take(window, 0, bytes, turn)?;
            put(window, 1, bytes, turn)
        }
    }
}

fn put(window: &Window<'_>, way: usize, bytes: &[u8], turn: u32) -> Result<()> {
    window.copy_in(MESSAGE[way], bytes)?;
    barrier::write();
    Ok(window.store_u32(INDEX[way], turn)?)
}

fn take(window: &Window<'_>, way: usize, bytes: &mut [u8], turn: u32) -> Result<()> {
    await_word(window, INDEX[way], turn)?;
    barrier::read();
    Ok(window.copy_out(MESSAGE[way], bytes)?)
}

#[inline]
fn await_word(window: &Window<'_>, at: usize, value: u32) -> Result<()> {
    while window.load_u32(at)? != value {
        std::hint::spin_loop();
    }
    Ok(())
}
