//! Interleavings that broke an earlier design of the event streams, each by itself; see `risks`.

use crate::bed::{ALL, HANG, MS, Shape, name};
use crate::risks::{LONG, start};
use SaEvt::evt::OpenFlags;
use SaEvt::evt::cluster::Plant;
use std::collections::BTreeMap;

#[test]
fn a_retained_event_that_reached_only_some_when_its_node_died_is_brought_to_all() {
    partial_retained(None);
}

pub(crate) fn partial_retained(plant: Option<Plant>) {
    for seed in 0..40 {
        let mut bed = start(seed, 3, plant);
        bed.join_all(0);
        for _ in 0..5 {
            bed.publish(2, 0, 2, LONG);
            bed.run(MS / 3);
        }
        bed.crash(2, false);
        bed.settle();
        bed.check();
    }
}

#[test]
fn an_event_that_ends_beside_a_merge_does_not_come_again() {
    expiry_beside_a_merge();
}

/// It ends at one side a moment before it is handed over from the other: the ledger notices if it
/// is delivered twice.
fn expiry_beside_a_merge() {
    let retention = 3 * HANG;
    for step in 0..40 {
        let mut bed = start(step, 3, None);
        bed.join_all(0);
        let published = bed.now;
        for _ in 0..3 {
            bed.publish(2, 0, 2, retention);
            bed.run(MS);
        }
        bed.run(50 * MS);
        bed.read_all();
        bed.cut_off(2);
        bed.run(HANG);
        // Most merges take some tens of milliseconds.
        let until = published + retention - step * 4 * MS;
        bed.run(until - bed.now);
        bed.heal();
        bed.settle();
        bed.check();
    }
}

#[test]
fn events_wait_for_the_channel_that_they_are_on() {
    events_before_their_channel();
}

/// The creator publishes at once; what it sends overtakes the operation on its way to others.
fn events_before_their_channel() {
    for seed in 0..60 {
        let mut bed = start(seed, 4, None);
        let programs = bed.connect_all();
        // Its answer comes when all have the channel, that of a publisher alone does not.
        bed.open(programs[3], name(0), ALL, None);
        while bed.ledger.opens.is_empty() {
            bed.run(MS / 10);
        }
        bed.unlink(programs[3], name(0));
        bed.open(programs[2], name(0), ALL, None);
        while bed.ledger.opens.len() < 2 {
            bed.run(MS / 10);
            if bed.machines[2].as_ref().unwrap().node.linked().len() == 1 {
                bed.publish(0, 0, 2, LONG);
            }
        }
        bed.publish(1, 0, 2, LONG);
        bed.settle();
        bed.check();
    }
}

#[test]
fn an_event_can_be_cleared_while_it_is_on_its_way() {
    cleared_on_its_way(None);
}

/// Its identifier comes to another node by other ways before it.
pub(crate) fn cleared_on_its_way(plant: Option<Plant>) {
    for seed in 0..20 {
        let mut bed = start(seed, 3, plant);
        bed.join_all(0);
        let id = bed.publish(2, 0, 2, LONG);
        bed.clear(1, id);
        bed.run(50 * MS);
        assert_eq!(bed.last(), Ok(()), "it is retained, and was not there yet");
        bed.settle();
        bed.check();
        let left = bed.machines.iter().flatten().any(|m| !m.cluster.retained_ids().is_empty());
        assert!(!left, "it has ended everywhere");
    }
}

#[test]
fn the_last_message_of_a_burst_is_missed_soon() {
    lost_tail(None);
}

/// The network drops what is on its way and is whole again before anybody hears of it. No channel
/// but that one has lost anything.
pub(crate) fn lost_tail(plant: Option<Plant>) {
    for seed in 0..20 {
        let mut bed = start(seed, 3, plant);
        bed.join_all(0);
        // On the other channel only the last node publishes.
        for at in 0..3 {
            let flags = OpenFlags::SUBSCRIBER | OpenFlags::CREATE;
            let flags = if at == 2 { ALL } else { flags };
            let program = bed.connect(at);
            bed.open(program, name(1), flags, None);
            bed.run(50 * MS);
            bed.subscribe(bed.ledger.opens.len() - 1, None);
        }
        bed.run(HANG);
        bed.read_all();
        bed.publish(0, 0, 2, 0);
        bed.run(MS / 50);
        bed.net.split(BTreeMap::from([(1, 1)]));
        bed.net.heal();
        bed.run(HANG);
        bed.read_all();
        bed.ledger.check_losses(|_| true);
        let lost = [1, 2, 4].map(|open| bed.ledger.opens[open].lost_at.is_some());
        assert_eq!(lost, [true, true, false], "who may have missed something, and nobody else");
        bed.settle();
        bed.check();
    }
}

#[test]
fn a_cut_that_only_one_side_has_seen_is_noticed_by_both() {
    cut_seen_by_one();
}

/// The network is whole again when some have been told and others have not.
fn cut_seen_by_one() {
    for seed in 0..60 {
        let mut bed = start(seed, 3, None);
        bed.join_all(0);
        let notice = Shape::default().behaviour.notice;
        for _ in 0..3 {
            for open in 0..3 {
                bed.publish(open, 0, 2, 0);
            }
            bed.run(MS);
            bed.net.split(BTreeMap::from([(seed as u32 % 3 + 1, 1)]));
            bed.faults += 1;
            bed.run(notice / 2 + (seed % 8) * notice / 16);
            for open in 0..3 {
                bed.publish(open, 0, 2, 0);
            }
            bed.heal();
            for open in 0..3 {
                bed.publish(open, 0, 2, 0);
                bed.run(MS);
            }
            bed.run(10 * MS);
            bed.read_all();
        }
        bed.settle();
        bed.check();
    }
}

#[test]
fn events_that_nobody_elsewhere_wants_stay_here() {
    nobody_wants_it(None);
}

/// Only the first subscriber of a node on a channel costs others anything.
pub(crate) fn nobody_wants_it(plant: Option<Plant>) {
    let mut bed = start(1, 3, plant);
    let programs = bed.connect_all();
    bed.open(programs[0], name(0), ALL, None);
    bed.open(programs[1], name(0), ALL, None);
    bed.run(50 * MS);
    (0..2).for_each(|open| bed.subscribe(open, None));
    bed.run(HANG);
    let before = (bed.net.traffic(1, 2), bed.net.traffic(1, 3));
    let sent: Vec<_> = (0..50).map(|_| bed.publish(0, 0, 2, 0)).collect();
    bed.read(programs[0], usize::MAX);
    assert!(sent.iter().all(|id| bed.ledger.opens[0].has_had(*id)), "here at once");
    bed.run(5 * MS);
    let after = (bed.net.traffic(1, 2), bed.net.traffic(1, 3));
    assert!(after.0.1 - before.0.1 > 50 * 40, "who subscribes gets them");
    assert!(after.1.1 - before.1.1 < 50 * 40, "who does not has signs of life at most");
    // Another subscriber where there is one costs no message.
    let before = bed.net.traffic(2, 1).0 + bed.net.traffic(2, 3).0;
    let now = bed.now;
    bed.open(programs[1], name(0), OpenFlags::SUBSCRIBER, None);
    assert_eq!(bed.last(), Ok(()));
    assert_eq!((bed.now, bed.net.traffic(2, 1).0 + bed.net.traffic(2, 3).0), (now, before));
}

#[test]
fn live_events_wait_for_what_was_published_before_a_merge() {
    behind_a_transfer();
}

/// The ledger notices events of one publisher that come out of order.
fn behind_a_transfer() {
    for seed in 0..10 {
        let mut bed = start(seed, 3, None);
        bed.join_all(0);
        bed.cut_off(1);
        bed.run(2 * HANG);
        for _ in 0..200 {
            bed.publish(1, 0, 2, LONG);
        }
        bed.heal();
        for _ in 0..100 {
            bed.publish(1, 0, 2, LONG);
            bed.publish(1, 0, 2, 0);
            bed.run(2 * MS);
        }
        bed.settle();
        bed.check();
    }
}

#[test]
fn retention_ends_everywhere_at_the_moment_its_publisher_meant() {
    deadlines_of_other_clocks(None);
}

pub(crate) fn deadlines_of_other_clocks(plant: Option<Plant>) {
    let mut bed = start(9, 3, plant);
    bed.join_all(0);
    bed.publish(0, 0, 2, 5 * HANG);
    bed.run(HANG);
    bed.crash(2, false);
    bed.run(HANG);
    bed.start(2);
    bed.settle();
    bed.check();
    bed.run(8 * HANG);
    assert!(bed.machines.iter().flatten().all(|m| m.cluster.retained_ids().is_empty()));
}
