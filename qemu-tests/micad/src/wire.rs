//! What went over the sockets, as text that a test can keep.

use std::fmt::Write;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Name of the socket's file.
    pub socket: String,
    /// What one `recv` gave.
    pub request: Vec<u8>,
    /// What each `send` took.
    pub replies: Vec<Vec<u8>>,
}

impl Exchange {
    /// The whole reply.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        self.replies.concat()
    }
}

/// A log as text: for each connection the request and what was sent, every byte of both. Of a long message zeroes are
/// left out, and what is between them has its place. A question that is asked again with the same answer is there once.
#[must_use]
pub fn text(log: &[Exchange]) -> String {
    let mut all = String::new();
    let mut last: Option<&Exchange> = None;
    for exchange in log {
        if last != Some(exchange) {
            let _ = writeln!(all, "{} > {}", exchange.socket, request(&exchange.request));
            for reply in &exchange.replies {
                let _ = writeln!(all, "{} < {:?}", exchange.socket, String::from_utf8_lossy(reply));
            }
        }
        last = Some(exchange);
    }
    all
}

fn request(bytes: &[u8]) -> String {
    if bytes.len() <= 64 {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    let mut all = format!("{} bytes", bytes.len());
    let mut at = 0;
    for piece in bytes.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
        if piece[0] != 0 {
            match std::str::from_utf8(piece) {
                Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => {
                    let _ = write!(all, "\n  @{at} {text:?}");
                }
                _ => {
                    let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
                    let _ = write!(all, "\n  @{at} {hex}");
                }
            }
        }
        at += piece.len();
    }
    all
}
