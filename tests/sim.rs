//! A whole cluster in one thread, from one seed: real cores and their replication, simulated
//! programs, an engine that delays, splits, and loses machines.
//!
//! `SAEVT_SIM_SEED` repeats one seed, `SAEVT_SIM_SEEDS` sets how many are tried.

#![expect(clippy::disallowed_methods, reason = "the environment selects the seeds")]

#[path = "sim/bed.rs"]
mod bed;
#[path = "sim/checks.rs"]
mod checks;
mod desk;
#[path = "sim/ledger.rs"]
mod ledger;
#[path = "sim/machine.rs"]
mod machine;
#[path = "sim/scenarios.rs"]
mod scenarios;
#[path = "sim/story.rs"]
mod story;

use SaEvt::evt::cluster::Plant;
use story::Story;

/// A small generator with a good enough spread (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len() as u64) as usize]
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|said| said.parse().ok())
}

#[test]
fn whatever_happens_the_cluster_keeps_its_promises() {
    let seeds = match number("SAEVT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SAEVT_SIM_SEEDS").unwrap_or(2000),
    };
    for seed in seeds {
        let told = std::panic::catch_unwind(|| Story::tell(seed, None));
        if let Err(panic) = told {
            eprintln!("SAEVT_SIM_SEED={seed} cargo test --test sim whatever");
            std::panic::resume_unwind(panic);
        }
    }
}

/// The simulation is worth what it finds: each of these faults, planted, is found by some seed.
#[test]
fn planted_faults_are_found() {
    if !cfg!(debug_assertions) {
        return;
    }
    std::panic::set_hook(Box::new(|_| ()));
    let unfound: Vec<Plant> = PLANTS
        .into_iter()
        .filter(|plant| {
            let found =
                |seed| std::panic::catch_unwind(|| Story::tell(seed, Some(*plant))).is_err();
            !(0..400).any(found)
        })
        .collect();
    let scenario = || scenarios::unlink_without(1, Some(Plant::NoLease));
    let without_lease = std::panic::catch_unwind(scenario);
    let _ = std::panic::take_hook();
    assert!(without_lease.is_err(), "a node that answers without a lease is not found");
    assert_eq!(unfound, [], "the simulation does not find them");
}

/// All but [`Plant::NoLease`], which a scenario finds.
const PLANTS: [Plant; 12] = [
    Plant::AnswerUnstable,
    Plant::SkipAck,
    Plant::AnySession,
    Plant::SilentBreak,
    Plant::SilentBegin,
    Plant::SilentOverflow,
    Plant::HearEarly,
    Plant::Resurrect,
    Plant::NoForward,
    Plant::OneClock,
    Plant::Overtake,
    Plant::KeepRoles,
];
