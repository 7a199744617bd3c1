//! What the peer does with messages; `rigs/c/peer.c` does the same. The first byte of a payload says what.

use anyhow::Result;
use openamp::rpmsg::PAYLOAD_LEN;

use crate::line::Line;

/// Send it back.
pub const ECHO: u8 = b'E';
/// Only take it.
pub const SINK: u8 = b'S';
/// End.
pub const QUIT: u8 = b'Q';

/// Serves until it is told to end.
pub fn serve(line: &mut Line<'_>) -> Result<()> {
    let mut payload = [0; PAYLOAD_LEN];
    loop {
        let len = line.receive(&mut payload)?;
        match payload[..len].first() {
            Some(&ECHO) => line.send(&payload[..len])?,
            Some(&QUIT) => return Ok(()),
            _ => {}
        }
    }
}
