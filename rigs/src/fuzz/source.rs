//! Where inputs come from: a small generator, good enough to reach every branch and cheap enough not to be measured.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub struct Source(u64);

impl Source {
    /// The source of execution `number` of a run with `seed`.
    pub fn of(seed: u64, number: u64) -> Source {
        let mut mixed = Source(seed);
        Source(mixed.word() ^ number.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// Sixty-four bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is not 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        // The upper half of the product: no division, and a bias that does not matter here.
        ((u128::from(self.word()) * bound as u128) >> 64) as usize
    }

    /// True once in `n`.
    #[inline]
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number that code tends to get wrong: small, a power of two, next to one, a limit; or just any.
    #[inline]
    pub fn tricky(&mut self) -> u64 {
        let word = self.word();
        let power = 1u64 << (word >> 58);
        match word % 8 {
            0 => word >> 59,
            1 => power,
            2 => power - 1,
            3 => power + 1,
            4 => power.wrapping_neg(),
            5 => u64::MAX - (word >> 60),
            6 => u64::from(u32::MAX) - (word >> 60),
            _ => word,
        }
    }
}
