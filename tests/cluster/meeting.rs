//! What programs of different nodes see of each other while all goes well.

use crate::program::{NOT_EXIST, OK, Program, Told};
use crate::site::Site;
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "events_of_every_length_reach_all_nodes",
        Need::Nothing,
        events_of_every_length_reach_all_nodes,
    ),
    ("a_channel_is_the_same_for_all_nodes", Need::Nothing, a_channel_is_the_same_for_all_nodes),
    ("of_two_unlinks_at_once_one_succeeds", Need::Nothing, of_two_unlinks_at_once_one_succeeds),
    (
        "retained_events_reach_late_subscribers_and_late_nodes",
        Need::Nothing,
        retained_events_reach_late_subscribers_and_late_nodes,
    ),
    (
        "many_publishers_are_heard_in_order_everywhere",
        Need::Nothing,
        many_publishers_are_heard_in_order_everywhere,
    ),
    (
        "programs_of_several_processes_hold_on_several_nodes",
        Need::Nothing,
        programs_of_several_processes_hold_on_several_nodes,
    ),
    ("the_engine_numbers_the_members", Need::Corosync, the_engine_numbers_the_members),
];

/// A program on a node that subscribes to all events of a channel.
pub(crate) fn subscriber(site: &Site, node: usize, channel: &str) -> Program {
    let mut program = site.program(node).ready();
    program.insist(&format!("open {channel} sc 5000"));
    program.must(&format!("sub {channel} {node}"));
    program
}

/// A program on a node that publishes on a channel.
pub(crate) fn publisher(site: &Site, node: usize, channel: &str) -> Program {
    let mut program = site.program(node).ready();
    program.insist(&format!("open {channel} pc 5000"));
    program
}

fn events_of_every_length_reach_all_nodes(site: &mut Site) {
    site.start_all();
    let mut takers: Vec<Program> = (1..=3).map(|node| subscriber(site, node, "c")).collect();
    let mut source = publisher(site, 1, "c");
    let sizes = [0, 1, 7, 8, 63, 64, 1000, 4096, 16_384, 49_152, 61_440, 65_535, 65_536];
    let mut sent = Vec::new();
    for (number, size) in (1_u64..).zip(sizes) {
        // What has no room for its number is told as 0.
        let number = if size < 8 { 0 } else { number };
        source.publish(&format!("c 2 0 {size} {number}"));
        sent.push((number, size));
    }
    for taker in &mut takers {
        taker.await_told(|told| told.len() == sent.len());
        let got = taker.told.iter().map(|told| match told {
            Told::Event { number, size, .. } => (*number, *size),
            other => panic!("{other:?}"),
        });
        assert_eq!(got.collect::<Vec<_>>(), sent);
    }
    // One byte more is beyond the limit everywhere.
    assert_ne!(source.ask("pub c 2 0 65537 1"), OK);
}

fn a_channel_is_the_same_for_all_nodes(site: &mut Site) {
    site.start_all();
    let mut programs: Vec<Program> = (1..=3).map(|node| site.program(node).ready()).collect();
    assert_eq!(programs[1].ask("open c p 5000"), NOT_EXIST);
    for round in 0..10 {
        let channel = format!("c{round}");
        // Whatever one has been answered all others see.
        programs[round % 3].must(&format!("open {channel} psc 5000"));
        programs[(round + 1) % 3].must(&format!("open {channel} s 5000"));
        programs[(round + 2) % 3].must(&format!("unlink {channel}"));
        for program in &mut programs {
            assert_eq!(program.ask(&format!("open {channel} s 5000")), NOT_EXIST);
            assert_eq!(program.ask(&format!("unlink {channel}")), NOT_EXIST);
        }
        // Who has it open still meets there.
        let subscription = round + 1;
        programs[(round + 1) % 3].must(&format!("sub {channel} {subscription}"));
        programs[round % 3].publish(&format!("{channel} 1 0 100 {subscription}"));
        programs[(round + 1) % 3].await_number(subscription as u64);
    }
}

fn of_two_unlinks_at_once_one_succeeds(site: &mut Site) {
    site.start_all();
    let mut programs: Vec<Program> = (1..=3).map(|node| site.program(node).ready()).collect();
    for round in 0..10 {
        programs[round % 3].must(&format!("open c{round} pc 5000"));
        programs.iter_mut().for_each(|program| program.begin(&format!("unlink c{round}")));
        let mut codes: Vec<i32> = programs.iter_mut().map(|program| program.answer().0).collect();
        codes.sort_unstable();
        assert_eq!(codes, [OK, NOT_EXIST, NOT_EXIST]);
    }
}

fn retained_events_reach_late_subscribers_and_late_nodes(site: &mut Site) {
    const MINUTE: u64 = 60_000;
    site.start(1);
    site.start(2);
    site.await_members(&[1, 2]);
    let mut source = publisher(site, 1, "c");
    let retained: Vec<u64> =
        (0..200).map(|number| source.publish(&format!("c 2 {MINUTE} 300 {number}"))).collect();
    // The one that is cleared by another node at once, while it may be on its way there.
    let mut other = publisher(site, 2, "c");
    let gone = source.publish(&format!("c 2 {MINUTE} 10 999"));
    other.must(&format!("clear c {gone}"));
    assert_eq!(source.ask(&format!("clear c {gone}")), NOT_EXIST);
    site.start(3);
    site.await_members(&[1, 2, 3]);
    for node in 1..=3 {
        let mut late = subscriber(site, node, "c");
        late.await_told(|told| told.len() == retained.len());
        assert_eq!(late.numbers(), (0..200).collect::<Vec<_>>(), "node {node}");
    }
    // From a node that had none of them when they were published.
    let mut third = publisher(site, 3, "c");
    third.must(&format!("clear c {}", retained[7]));
    assert_eq!(other.ask(&format!("clear c {}", retained[7])), NOT_EXIST);
    let mut late = subscriber(site, 1, "c");
    late.await_told(|told| told.len() == retained.len() - 1);
    assert!(!late.numbers().contains(&7));
}

fn many_publishers_are_heard_in_order_everywhere(site: &mut Site) {
    const COUNT: u64 = 2000;
    site.start_all();
    let mut takers: Vec<Program> = (1..=3).map(|node| subscriber(site, node, "c")).collect();
    let mut sources: Vec<Program> = (1..=3).map(|node| publisher(site, node, "c")).collect();
    for (source, first) in sources.iter_mut().zip([1_000_000, 2_000_000, 3_000_000]) {
        source.begin(&format!("burst c {first} {COUNT} 64"));
    }
    for source in &mut sources {
        assert_eq!(source.answer().0, OK);
    }
    for taker in &mut takers {
        for source in 1..=3 {
            taker.await_number(source * 1_000_000 + COUNT - 1);
        }
        check_order(&taker.told);
        assert_eq!(taker.numbers().len() as u64, 3 * COUNT);
    }
}

/// The programs of capi-tests that have several processes, each on another node.
fn programs_of_several_processes_hold_on_several_nodes(site: &mut Site) {
    site.start_all();
    for name in ["processes", "death"] {
        let output = site.run_spread(name);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{name}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn the_engine_numbers_the_members(site: &mut Site) {
    site.is_numbered = false;
    site.start_all();
    for node in 1..=3 {
        let log = site.log(node);
        assert!(log.contains(&format!("start 1 of member {node}, by corosync")), "{log}");
    }
}

/// What a subscriber was told keeps the promises: of each source (a million of numbers) in order
/// and once, and whatever is missing in between is announced after what came before it.
pub(crate) fn check_order(told: &[Told]) {
    let mut last = std::collections::BTreeMap::new();
    for (at, it) in told.iter().enumerate() {
        let Told::Event { number, .. } = it else { continue };
        if let Some((before, place)) = last.insert(number / 1_000_000, (*number, at)) {
            assert!(before < *number, "{number} after {before}");
            let announced = told[place..].iter().any(|it| matches!(it, Told::Lost(_)));
            assert!(before + 1 == *number || announced, "{before} to {number} is not announced");
        }
    }
}
