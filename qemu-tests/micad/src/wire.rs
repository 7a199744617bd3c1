//! What went over the sockets, as text that a test can keep.

use std::fmt::Write;

/// Longest command that is read.
const COMMAND: usize = 32;

#[derive(PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// Fields of the message that creates an instance.
const FIELDS: &[(usize, Kind)] = &[
    (66, Kind::Text),
    (256, Kind::Text),
    (16, Kind::Text),
    (256, Kind::Text),
    (1, Kind::Number),
    (128, Kind::Text),
    (1, Kind::Number),
    (4, Kind::Number),
    (4, Kind::Number),
    (4, Kind::Number),
    (4, Kind::Number),
    (4, Kind::Number),
    (4, Kind::Number),
    (512, Kind::Text),
    (512, Kind::Text),
];

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

/// A log as text: for each connection the request and what was sent, every byte of both. Of a message the fields that
/// are not all zeroes are there with their place, numbers as bytes. A question that is asked again with the same answer is there once.
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
    if bytes.len() <= COMMAND {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    let mut all = format!("{} bytes", bytes.len());
    let mut at = 0;
    for (size, kind) in FIELDS {
        let field = &bytes[at.min(bytes.len())..(at + size).min(bytes.len())];
        if field.iter().any(|byte| *byte != 0) {
            let end = field.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            match std::str::from_utf8(&field[..end]) {
                Ok(text) if *kind == Kind::Text && !text.contains('\0') => {
                    let _ = write!(all, "\n  @{at} {text:?}");
                }
                _ => {
                    let hex: String = field.iter().map(|byte| format!("{byte:02x}")).collect();
                    let _ = write!(all, "\n  @{at} {hex}");
                }
            }
        }
        at += size;
    }
    all
}
