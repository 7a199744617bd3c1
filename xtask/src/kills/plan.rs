//! Which rounds there are: every pair of a victim and a step as often as any other, in an order and with moments that
//! a seed decides.

use std::fmt;
use std::time::Duration;

/// What SIGKILL hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    /// The shim's server.
    Shim,
    /// The shim's `start`, which makes the server.
    Starter,
    /// containerd.
    Containerd,
    /// QEMU.
    Emulator,
    /// Shim and containerd, at once.
    Both,
}

/// What is under way when it happens: a request of containerd's client, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Create,
    Start,
    Run,
    Kill,
    Delete,
}

/// What the container runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Core {
    /// Inside the shim: its build with the fake core.
    Fake,
    /// In QEMU, under the shim that ships.
    Qemu,
}

/// All pairs. There is no emulator before Start, and none to delete.
pub(super) const PAIRS: [(Victim, Step); 19] = [
    (Victim::Shim, Step::Create),
    (Victim::Shim, Step::Start),
    (Victim::Shim, Step::Run),
    (Victim::Shim, Step::Kill),
    (Victim::Shim, Step::Delete),
    (Victim::Starter, Step::Create),
    (Victim::Containerd, Step::Create),
    (Victim::Containerd, Step::Start),
    (Victim::Containerd, Step::Run),
    (Victim::Containerd, Step::Kill),
    (Victim::Containerd, Step::Delete),
    (Victim::Emulator, Step::Start),
    (Victim::Emulator, Step::Run),
    (Victim::Emulator, Step::Kill),
    (Victim::Both, Step::Create),
    (Victim::Both, Step::Start),
    (Victim::Both, Step::Run),
    (Victim::Both, Step::Kill),
    (Victim::Both, Step::Delete),
];

/// Of so many rounds that could do without QEMU, one does not.
const REAL_CORES: u64 = 4;
/// Of so many rounds, one has a second container in the same shim.
const PODS: u64 = 4;

/// One kill.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) victim: Victim,
    pub(super) step: Step,
    pub(super) core: Core,
    /// Whether another container of the same shim runs meanwhile.
    pub(super) pod: bool,
    /// What the step Kill sends; all others end containers by SIGKILL.
    pub(super) orderly: bool,
    /// For the moment of the kill, and whatever else is left to chance.
    pub(super) dice: Dice,
}

impl Round {
    fn new(number: usize, (victim, step): (Victim, Step), mut dice: Dice) -> Self {
        let fake = victim != Victim::Emulator && dice.below(REAL_CORES) > 0;
        let core = if fake { Core::Fake } else { Core::Qemu };
        let (pod, orderly) = (dice.below(PODS) == 0, dice.below(2) == 0);
        Self { number, victim, step, core, pod, orderly, dice }
    }

    /// The signal of the step Kill, by its name.
    pub(super) fn signal(&self) -> &'static str {
        if self.orderly { "SIGTERM" } else { "SIGKILL" }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {}", self.victim, self.step)?;
        if self.step == Step::Kill {
            write!(out, " by {}", self.signal())?;
        }
        let core = if self.core == Core::Fake { "fake core" } else { "QEMU" };
        write!(out, ", {core}{}", if self.pod { ", pod" } else { "" })
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Shim => "shim",
            Self::Starter => "start of the shim",
            Self::Containerd => "containerd",
            Self::Emulator => "QEMU",
            Self::Both => "shim and containerd",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Run => "run",
            Self::Kill => "kill",
            Self::Delete => "delete",
        })
    }
}

/// `count` rounds. The same seed makes the same rounds.
pub(super) fn rounds(count: usize, seed: u64) -> Vec<Round> {
    let mut dice = Dice::new(seed);
    let mut pairs: Vec<_> = PAIRS.into_iter().cycle().take(count).collect();
    for left in (1..pairs.len()).rev() {
        let other = dice.below(left as u64 + 1);
        // Below `left`, which is a `usize`.
        #[expect(clippy::cast_possible_truncation)]
        pairs.swap(left, other as usize);
    }
    let make = |(index, pair)| Round::new(index + 1, pair, Dice::new(dice.roll()));
    pairs.into_iter().enumerate().map(make).collect()
}

/// Chance that can be repeated: Steele, Lea and Flood's SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// A time of at most `most`, to the microsecond.
    pub(super) fn time(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(most.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rounds: &[Round]) -> Vec<(Victim, Step)> {
        rounds.iter().map(|round| (round.victim, round.step)).collect()
    }

    #[test]
    fn every_pair_comes_equally_often() {
        let mut all = pairs(&rounds(PAIRS.len() * 3, 1));
        all.sort_unstable();
        let mut expected = [PAIRS, PAIRS, PAIRS].concat();
        expected.sort_unstable();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_seed_decides_everything() {
        let told = |seed| rounds(40, seed).iter().map(|round| format!("{round:?}")).collect::<Vec<_>>();
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }

    #[test]
    fn only_qemu_dies_as_an_emulator() {
        let all = rounds(400, 3);
        assert!(all.iter().all(|round| round.victim != Victim::Emulator || round.core == Core::Qemu));
        for wanted in [Core::Fake, Core::Qemu] {
            assert!(all.iter().any(|round| round.core == wanted && round.victim == Victim::Shim));
        }
    }

    #[test]
    fn a_time_stays_below_its_bound() {
        let mut dice = Dice::new(5);
        let most = Duration::from_micros(3);
        assert!((0..100).all(|_| dice.time(most) < most));
        assert_eq!(dice.time(Duration::ZERO), Duration::ZERO);
    }
}
