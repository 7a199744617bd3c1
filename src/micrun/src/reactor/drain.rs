//! The last output on its way to the reader.

use std::time::{Duration, Instant, SystemTime};

use super::Ended;

/// How long the last output is offered to a reader that does not take it.
const DRAIN_DEADLINE: Duration = Duration::from_secs(1);
/// A reader that takes nothing for this long is not waited for with the news of the end.
const STALL: Duration = Duration::from_millis(100);
/// How often it is looked whether the reader took something: only a full FIFO tells.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// The end is told when the reader has everything or does not read: clients (`ctr`) stop reading at the news, whatever
/// the FIFO still holds.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) ended: Ended,
    /// Bytes that the reader had not taken at the last look.
    unread: usize,
    /// When the reader last took something.
    taken: Instant,
    /// The next look.
    pub(super) next: Instant,
    pub(super) until: Instant,
}

impl Drain {
    pub(super) fn new(status: u32, now: Instant) -> Drain {
        let ended = Ended { status, at: SystemTime::now() };
        Drain { ended, unread: 0, taken: now, next: now, until: now + DRAIN_DEADLINE }
    }

    /// Notes what is left to read, and whether there was more to come; true if somebody reads.
    pub(super) fn look(&mut self, unread: usize, moved: bool, now: Instant) -> bool {
        if moved || unread != self.unread {
            self.unread = unread;
            self.taken = now;
        }
        self.next = self.until.min(now + DRAIN_LOOK);
        unread > 0 && now < self.until && now.saturating_duration_since(self.taken) < STALL
    }
}
