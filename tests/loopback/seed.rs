//! Random moments that can be repeated: `SAEVT_SEED` sets the seed that a run prints.

/// A sequence of numbers that look random (the generator known as SplitMix64).
pub(crate) struct Seed(u64);

impl Seed {
    /// The seed of this run, printed.
    pub(crate) fn of_run() -> Self {
        let said = std::env::var("SAEVT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = said.unwrap_or_else(SaEvt::sys::process::random) >> 1;
        println!("SAEVT_SEED={}", seed << 1);
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
