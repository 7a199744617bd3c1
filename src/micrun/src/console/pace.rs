//! Input no faster than a firmware can take it, where its author asks for that.

use std::time::{Duration, Instant};

use openamp::rpmsg::PAYLOAD_LEN;

/// Input comes in up to so many pieces a second.
const PIECES: u32 = 100;

/// Lets pieces pass at equal intervals, so that no second has more bytes than its rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Most bytes of a piece.
    pub(super) piece: usize,
    interval: Duration,
    /// Before this nothing passes.
    next: Option<Instant>,
}

impl Pace {
    /// A pace of `rate` bytes per second.
    pub(super) fn new(rate: u32) -> Pace {
        let piece = (rate / PIECES).clamp(1, PAYLOAD_LEN as u32);
        // Whole pieces only: what is left of the rate is not used.
        let interval = Duration::from_secs(1) / (rate / piece).max(1);
        Pace { piece: piece as usize, interval, next: None }
    }

    /// Until when nothing passes; `None` if something does now.
    pub(super) fn closed(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| now < *next)
    }

    /// A piece passes.
    pub(super) fn pass(&mut self, now: Instant) {
        self.next = Some(now + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_rate() {
        for rate in [1, 7, 99, 100, 101, 150, 999, 9600, 49_700, 115_200, 1_000_000] {
            let pace = Pace::new(rate);
            let most = pace.piece as f64 / pace.interval.as_secs_f64();
            assert!(most <= f64::from(rate) * 1.000_001, "{most} bytes instead of {rate}");
            assert!(most > f64::from(rate) * 0.5, "{most} bytes instead of {rate}");
        }
    }

    #[test]
    fn a_piece_closes_the_way_until_the_next() {
        let (mut pace, now) = (Pace::new(10), Instant::now());
        assert_eq!(pace.closed(now), None);
        pace.pass(now);
        let next = pace.closed(now).expect("closed");
        assert_eq!(next, now + Duration::from_millis(100));
        assert_eq!(pace.closed(next), None);
    }
}
