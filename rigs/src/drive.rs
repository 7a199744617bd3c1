//! What is asked of a peer: echoes, and taking as many messages as fit through.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use openamp::rpmsg::PAYLOAD_LEN;

use crate::echo::{ECHO, QUIT, SINK};
use crate::line::Line;

/// A message of `len` bytes, told from others by `number`.
fn message(number: usize, len: usize) -> [u8; PAYLOAD_LEN] {
    let mut payload = [0; PAYLOAD_LEN];
    for (at, byte) in payload[..len].iter_mut().enumerate() {
        *byte = number.wrapping_mul(31).wrapping_add(at) as u8;
    }
    payload[0] = ECHO;
    payload
}

/// Has `count` different messages of `len` bytes echoed, and compares every byte.
pub fn checked_echoes(line: &mut Line<'_>, len: usize, count: usize) -> Result<()> {
    let mut back = [0; PAYLOAD_LEN];
    for number in 0..count {
        let sent = message(number, len);
        line.send(&sent[..len])?;
        let got = line.receive(&mut back)?;
        ensure!(back[..got] == sent[..len], "echo {number} of {len} bytes came back as {:?}", &back[..got]);
    }
    Ok(())
}

/// Mean time of `count` echoes of `len` bytes, one after another.
pub fn trips(line: &mut Line<'_>, len: usize, count: u32) -> Result<Duration> {
    let (sent, mut back) = (message(0, len), [0; PAYLOAD_LEN]);
    let begun = Instant::now();
    for _ in 0..count {
        line.send(&sent[..len])?;
        ensure!(line.receive(&mut back)? == len, "an echo of another length");
    }
    Ok(begun.elapsed() / count)
}

/// Time until the peer has taken `count` messages of `len` bytes.
pub fn flood(line: &mut Line<'_>, len: usize, count: u32) -> Result<Duration> {
    let mut sent = message(0, len);
    sent[0] = SINK;
    let begun = Instant::now();
    for _ in 1..count {
        line.send(&sent[..len])?;
    }
    // The last one comes back, after all others were taken.
    sent[0] = ECHO;
    line.send(&sent[..len])?;
    line.receive(&mut [0; PAYLOAD_LEN])?;
    Ok(begun.elapsed())
}

/// Tells the peer to end.
pub fn quit(line: &mut Line<'_>) -> Result<()> {
    line.send(&[QUIT])
}
