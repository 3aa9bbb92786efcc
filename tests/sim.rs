//! A whole cluster in one thread, from one seed: real cores and their replication, simulated
//! programs, an engine that delays, splits, and loses machines.
//!
//! `SAEVT_SIM_SEED` repeats one seed, `SAEVT_SIM_SEEDS` sets how many are tried.

#![expect(clippy::disallowed_methods, reason = "the environment selects the seeds")]

#[path = "sim/acts.rs"]
mod acts;
#[path = "sim/bed.rs"]
mod bed;
#[path = "sim/checks.rs"]
mod checks;
mod desk;
#[path = "sim/growth.rs"]
mod growth;
#[path = "sim/ledger.rs"]
mod ledger;
#[path = "sim/machine.rs"]
mod machine;
#[path = "sim/order.rs"]
mod order;
#[path = "sim/pressure.rs"]
mod pressure;
#[path = "sim/risks.rs"]
mod risks;
#[path = "sim/risks_of_events.rs"]
mod risks_of_events;
#[path = "sim/scenarios.rs"]
mod scenarios;
#[path = "sim/story.rs"]
mod story;
#[path = "sim/upgrade.rs"]
mod upgrade;

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

/// Stories that are told unless somebody asks for more.
const SEEDS: u64 = 2000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|said| said.parse().ok())
}

#[test]
fn whatever_happens_the_cluster_keeps_its_promises() {
    let seeds = match number("SAEVT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SAEVT_SIM_SEEDS").unwrap_or(SEEDS),
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
            !(0..SEEDS).any(found)
        })
        .collect();
    let unnoticed: Vec<Plant> = SCENARIOS
        .into_iter()
        .filter(|(plant, scenario)| std::panic::catch_unwind(|| scenario(Some(*plant))).is_ok())
        .map(|(plant, _)| plant)
        .collect();
    let _ = std::panic::take_hook();
    assert_eq!(unnoticed, [], "their scenarios do not find them");
    assert_eq!(unfound, [], "the simulation does not find them");
}

/// One that can be played with a fault planted.
type Scenario = fn(Option<Plant>);

/// Those that a scenario finds.
const SCENARIOS: [(Plant, Scenario); 22] = [
    (Plant::NoLease, |plant| scenarios::unlink_without(1, plant)),
    (Plant::DropPatient, pressure::slow_member),
    (Plant::EndlessPatience, pressure::hung_member),
    (Plant::GiveEarly, order::through_everything),
    (Plant::KeepForeign, order::through_everything),
    (Plant::AskTwice, order::through_everything),
    (Plant::NoMissing, risks::partial_unlink),
    (Plant::SilentParting, risks_of_events::partial_retained),
    (Plant::NoForward, risks_of_events::partial_retained),
    (Plant::Resurrect, risks::removed_while_away),
    (Plant::KeepApart, risks::unlinked_while_they_meet),
    (Plant::AnswerUnstable, risks::known_and_not_everywhere),
    (Plant::NoProbe, risks_of_events::cleared_on_its_way),
    (Plant::SilentTail, risks_of_events::lost_tail),
    (Plant::NoTimeout, risks::all_others_hang),
    (Plant::SendAll, risks_of_events::nobody_wants_it),
    (Plant::ServeAtOnce, risks::alone_at_first),
    (Plant::KeepStart, scenarios::lost_start),
    (Plant::OneClock, risks_of_events::deadlines_of_other_clocks),
    (Plant::KeepRoles, risks::instances_of_the_unlinked),
    (Plant::UnlinkTwice, risks::two_unlinks),
    (Plant::SureApart, |plant| risks::unlinks_apart(1, plant)),
];

/// Those that seeds find.
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
