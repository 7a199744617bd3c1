//! Looking again, less and less often.

use std::time::{Duration, Instant};

/// While something is owed: first look again after this, then twice as long each time (a lost kick is made up for).
const FIRST_LOOK: Duration = Duration::from_millis(8);
/// The longest interval. A running remote that answers nothing for that long is not asked any more.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Looks again at growing intervals as long as something is owed.
#[derive(Debug)]
pub(super) struct Patience {
    /// `None` when patience is exhausted.
    pub(super) next: Option<Instant>,
    interval: Duration,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Patience {
        Patience { next: Some(now + FIRST_LOOK), interval: FIRST_LOOK }
    }

    /// True if it is time to look. It is exhausted at the longest interval, unless it is to last `for_ever`.
    pub(super) fn is_due(&mut self, for_ever: bool, now: Instant) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        let exhausted = !for_ever && self.interval == LAST_LOOK;
        self.interval = (self.interval * 2).min(LAST_LOOK);
        self.next = (!exhausted).then(|| now + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it looks in an hour.
    fn looks(for_ever: bool) -> usize {
        let begun = Instant::now();
        let mut patience = Patience::new(begun);
        (0..3_600_000)
            .filter(|millis| patience.is_due(for_ever, begun + Duration::from_millis(*millis)))
            .count()
    }

    #[test]
    fn it_looks_again_until_it_is_exhausted_and_for_ever_each_second() {
        // 8, 16, ... 512 ms, and once after a second.
        assert_eq!(looks(false), 8);
        assert!((3600..3610).contains(&looks(true)));
    }
}
