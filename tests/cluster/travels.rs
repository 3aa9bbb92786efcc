//! How events travel, where an administrator chooses: total order, and publishers that wait for
//! slow nodes.

use crate::meeting::{publisher, subscriber};
use crate::program::{OK, Program, Told};
use crate::site::Site;
use crate::{Need, Test};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

pub(crate) const TESTS: &[Test] = &[
    (
        "all_nodes_have_one_sequence_in_total_order",
        Need::Nothing,
        all_nodes_have_one_sequence_in_total_order,
    ),
    (
        "one_sequence_holds_through_the_death_of_the_sequencer",
        Need::Nothing,
        one_sequence_holds_through_the_death_of_the_sequencer,
    ),
    ("nothing_is_lost_where_publishers_wait", Need::Nothing, nothing_is_lost_where_publishers_wait),
    (
        "publishers_wait_for_no_node_that_hangs",
        Need::Nothing,
        publishers_wait_for_no_node_that_hangs,
    ),
];

const TOTAL: &str = "ordering = \"total\"\n";
/// Events of each burst in total order.
const COUNT: u64 = 2000;
/// What comes after the bursts has numbers from here on.
const AFTER: u64 = 100_000_000;

/// Publishers wait on one channel and on the other not. What waits for a node is little, so that
/// engines that are fast fall behind too.
const PATIENT: &str = "peer_queue_bytes_max = 65536\npatience_seconds = 1.0\n\
                       [[cluster.channel]]\nname = \"safChnl=patient\"\n\
                       remote = \"backpressure\"\n";
/// More than engines have on their way, and what fits into the queue of a program that does not
/// read.
const MANY: u64 = 3600;
const SIZE: u64 = 4000;

/// A program on each node that subscribes, and one that publishes.
fn everywhere(site: &Site) -> (Vec<Program>, Vec<Program>) {
    let takers = (1..=3).map(|node| subscriber(site, node, "c")).collect();
    let sources = (1..=3).map(|node| publisher(site, node, "c")).collect();
    (takers, sources)
}

fn begin_bursts(sources: &mut [Program]) {
    for (source, at) in sources.iter_mut().zip(1..) {
        source.begin(&format!("burst c {} {COUNT} 64", at * 1_000_000));
    }
}

/// What several have had, each of them had in the same order.
fn check_one_sequence(sequences: &[Vec<u64>]) {
    for (node, one) in sequences.iter().enumerate() {
        let places: BTreeMap<u64, usize> = one.iter().copied().zip(0..).collect();
        assert_eq!(places.len(), one.len(), "node {}: something came twice", node + 1);
        for other in sequences {
            let common: Vec<usize> = other.iter().filter_map(|n| places.get(n).copied()).collect();
            assert!(common.is_sorted(), "node {}: {one:?}, and elsewhere {other:?}", node + 1);
        }
    }
}

fn all_nodes_have_one_sequence_in_total_order(site: &mut Site) {
    site.more = TOTAL;
    site.start_all();
    let (mut takers, mut sources) = everywhere(site);
    begin_bursts(&mut sources);
    for source in &mut sources {
        assert_eq!(source.answer().0, OK);
    }
    for taker in &mut takers {
        taker.await_told(|told| told.len() as u64 == 3 * COUNT);
        assert!(!taker.has_lost());
    }
    // Nothing is missing, so it is not only the order of what is there.
    let sequences: Vec<Vec<u64>> = takers.iter().map(Program::numbers).collect();
    assert_eq!(sequences[0], sequences[1]);
    assert_eq!(sequences[0], sequences[2]);
    let mut sorted = sequences[0].clone();
    sorted.sort_unstable();
    let all = (1..=3_u64).flat_map(|at| (0..COUNT).map(move |number| at * 1_000_000 + number));
    assert_eq!(sorted, all.collect::<Vec<_>>());
}

fn one_sequence_holds_through_the_death_of_the_sequencer(site: &mut Site) {
    site.more = TOTAL;
    site.start_all();
    let (mut takers, mut sources) = everywhere(site);
    begin_bursts(&mut sources);
    takers[1].await_number(1_000_100);
    site.end(1, Signal::SIGKILL);
    site.start(1);
    for source in &mut sources {
        assert_eq!(source.answer().0, OK);
    }
    site.await_members(&[1, 2, 3]);
    // Each hears of all again, so that what was on its way has come or is lost.
    for (round, taker) in (1..).zip(&mut takers) {
        for (source, at) in sources.iter_mut().zip(1..) {
            let mut number = (10 * round + at) * AFTER;
            loop {
                source.insist(&format!("pub c 0 0 64 {number}"));
                if taker.hears(number) {
                    break;
                }
                number += 1;
            }
        }
    }
    let sequences: Vec<Vec<u64>> = takers.iter().map(Program::numbers).collect();
    check_one_sequence(&sequences);
    for (node, taker) in (1..).zip(&takers) {
        assert!(taker.has_lost(), "node {node} has not heard of the end of node 1");
    }
    let source = |number: u64| number / 1_000_000;
    for at in 1..=3 {
        for sequence in &sequences {
            let of = sequence.iter().filter(|number| source(**number) == at);
            assert!(of.is_sorted(), "each publisher's are in order");
        }
    }
}

/// The burst has come once, in order, and whole.
fn check_complete(taker: &Program) {
    let numbers = taker.numbers();
    let missing: Vec<u64> = (0..MANY).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert!(numbers.is_sorted() && numbers.len() as u64 == MANY, "it came once and in order");
}

fn nothing_is_lost_where_publishers_wait(site: &mut Site) {
    site.more = PATIENT;
    site.start_all();
    let mut source = publisher(site, 1, "patient");
    let mut taker = subscriber(site, 3, "patient");
    source.begin(&format!("burst patient 0 {MANY} {SIZE} 2"));
    let (code, refused) = source.answer();
    assert_eq!(code, OK);
    assert!(refused > 0, "{MANY} events at once");
    taker.await_number(MANY - 1);
    check_complete(&taker);
    assert!(!taker.has_lost());
    // The same where nobody waits; else the engine is so fast that this shows nothing.
    source.must("open other pc 5000");
    let mut taker = subscriber(site, 3, "other");
    let mut first = 0;
    while !taker.has_lost() {
        source.must(&format!("burst other {first} {MANY} {SIZE} 2"));
        first += MANY;
        taker.hears(first - 1);
    }
}

fn publishers_wait_for_no_node_that_hangs(site: &mut Site) {
    site.more = PATIENT;
    site.start_all();
    let mut source = publisher(site, 1, "patient");
    let mut near = subscriber(site, 2, "patient");
    let mut far = subscriber(site, 3, "patient");
    site.freeze(3, true);
    source.must(&format!("burst patient 0 {MANY} {SIZE} 2"));
    near.await_number(MANY - 1);
    check_complete(&near);
    site.freeze(3, false);
    far.await_told(|told| told.contains(&Told::Lost(3)));
    site.await_members(&[1, 2, 3]);
    let mut next = MANY;
    loop {
        source.insist(&format!("pub patient 0 0 64 {next}"));
        if far.hears(next) {
            return;
        }
        next += 1;
    }
}
