//! Interleavings that break simpler designs, one by one.

use crate::bed::{ALL, Bed, HANG, MS, Shape, name};
use crate::ledger::LIBRARY;
use crate::order::total;
use crate::risks::start;
use SaEvt::evt::cluster::{Plant, Roles};
use SaEvt::evt::node::Target;
use SaEvt::evt::{Error, Filter, FilterKind, Filters, InstanceNo, OpenFlags, SubscriptionNo};
use SaEvt::transport::sim::Behaviour;
use std::collections::BTreeMap;

#[test]
fn what_one_was_answered_all_others_see() {
    for seed in 0..20 {
        let mut bed = start(seed, 4, None);
        let programs = bed.connect_all();
        bed.open(programs[3], name(0), ALL, None);
        bed.run(50 * MS);
        assert_eq!(bed.last(), Ok(()));
        for program in &programs {
            bed.open(*program, name(0), OpenFlags::PUBLISHER, Some(Ok(())));
        }
        bed.unlink(programs[2], name(0));
        bed.run(50 * MS);
        assert_eq!(bed.last(), Ok(()));
        for program in &programs {
            let missing = Some(Err(Error::NotExist));
            bed.open(*program, name(0), OpenFlags::PUBLISHER, missing);
        }
        bed.run(50 * MS);
    }
}

#[test]
fn of_two_unlinks_at_once_one_succeeds() {
    for seed in 0..50 {
        let mut bed = start(seed, 3, None);
        let programs = bed.connect_all();
        bed.open(programs[0], name(0), ALL, None);
        bed.run(50 * MS);
        let before = bed.answered.len();
        bed.unlink(programs[1], name(0));
        bed.unlink(programs[2], name(0));
        bed.run(50 * MS);
        let mut outcomes: Vec<_> = bed.answered[before..].iter().map(|a| a.outcome).collect();
        outcomes.sort_by_key(Result::is_err);
        assert_eq!(outcomes, [Ok(()), Err(Error::NotExist)]);
    }
}

#[test]
fn channels_created_apart_meet_and_are_unlinked_together() {
    let mut bed = start(1, 4, None);
    bed.net.split(BTreeMap::from([(3, 1), (4, 1)]));
    bed.run(2 * HANG);
    let programs = bed.connect_all();
    for program in &programs {
        bed.open(*program, name(0), ALL, None);
        bed.run(50 * MS);
        assert_eq!(bed.last(), Ok(()));
    }
    bed.settle();
    for open in 0..4 {
        bed.subscribe(open, None);
    }
    let id = bed.publish(0, 0, 2, 0);
    bed.settle();
    bed.check();
    assert!(bed.ledger.opens.iter().all(|open| open.has_had(id)), "they are one channel now");
    bed.unlink(programs[3], name(0));
    bed.run(50 * MS);
    bed.open(programs[0], name(0), OpenFlags::PUBLISHER, Some(Err(Error::NotExist)));
    let id = bed.publish(3, 0, 2, 0);
    bed.settle();
    bed.check();
    assert!(bed.ledger.opens.iter().all(|open| open.has_had(id)), "and are without its name");
}

#[test]
fn a_stopped_member_does_not_stop_the_others_and_does_not_answer_what_is_old() {
    (0..3).for_each(|stopped| unlink_without(stopped, None));
}

/// A member is stopped, the others unlink a channel; then it goes on.
pub(crate) fn unlink_without(stopped: usize, plant: Option<Plant>) {
    let mut bed = Bed::new(2, Shape { plant, ..Shape::default() });
    bed.start_all();
    let programs = bed.connect_all();
    bed.open(programs[0], name(0), ALL, None);
    bed.open(programs[0], name(1), ALL, None);
    bed.run(50 * MS);
    bed.stop(stopped, 4 * HANG);
    bed.unlink(programs[(stopped + 1) % 3], name(0));
    bed.run(2 * HANG + HANG / 2);
    assert_eq!(bed.last(), Ok(()), "without member {stopped}");
    // This one it has never heard of.
    bed.unlink(programs[(stopped + 1) % 3], name(1));
    bed.run(2 * HANG - HANG / 2);
    assert_eq!(bed.last(), Ok(()), "without member {stopped}");
    assert!(bed.is_up(stopped));
    for number in 0..2 {
        let missing = Some(Err(Error::NotExist));
        bed.open(programs[stopped], name(number), OpenFlags::PUBLISHER, missing);
    }
    bed.settle();
    assert_eq!(bed.last(), Err(Error::NotExist), "of member {stopped}");
    bed.check();
}

#[test]
fn a_node_that_returns_with_its_state_brings_nothing_back_that_was_removed() {
    let mut bed = start(3, 3, None);
    let programs = bed.connect_all();
    bed.open(programs[0], name(0), ALL, None);
    bed.open(programs[0], name(1), ALL, None);
    bed.run(50 * MS);
    let cleared = bed.publish(0, 0, 2, 1_000_000 * MS);
    let kept = bed.publish(0, 0, 2, 1_000_000 * MS);
    bed.run(50 * MS);
    bed.crash(2, true);
    bed.run(2 * HANG);
    bed.unlink(programs[1], name(1));
    bed.clear(0, cleared);
    bed.run(50 * MS);
    assert_eq!(bed.last(), Ok(()));
    bed.start(2);
    bed.settle();
    bed.check();
    for machine in bed.machines.iter().flatten() {
        assert_eq!(machine.cluster.retained_ids(), [kept].into());
        assert!(machine.cluster.directory().linked(&name(1)).is_none());
    }
}

#[test]
fn a_cluster_that_stops_as_a_whole_comes_back_with_what_it_had() {
    let mut bed = start(4, 3, None);
    let program = bed.connect(1);
    bed.open(program, name(0), ALL, None);
    bed.run(50 * MS);
    let kept = bed.publish(0, 0, 2, 1_000_000 * MS);
    bed.run(50 * MS);
    (0..3).for_each(|at| bed.crash(at, true));
    bed.run(2 * HANG);
    bed.start_all();
    bed.settle();
    bed.check();
    for machine in bed.machines.iter().flatten() {
        assert_eq!(machine.cluster.retained_ids(), [kept].into());
        assert!(machine.cluster.directory().linked(&name(0)).is_some());
    }
}

#[test]
fn a_start_count_that_was_lost_is_found_again() {
    lost_start(None);
}

pub(crate) fn lost_start(plant: Option<Plant>) {
    let mut bed = Bed::new(5, Shape { plant, ..Shape::default() });
    bed.start_all();
    bed.crash(1, false);
    bed.run(2 * HANG);
    bed.starts[1] = 0;
    bed.start(1);
    bed.settle();
    let machine = bed.machines[1].as_ref().expect("it has started");
    assert_eq!(machine.cluster.own().start, 2, "the others have seen start 1");
    bed.check();
}

#[test]
fn who_comes_back_is_told_of_what_it_missed_until_all_know_of_it() {
    let mut bed = start(5, 2, None);
    let source = bed.connect(0);
    bed.open(source, name(0), OpenFlags::PUBLISHER | OpenFlags::CREATE, None);
    bed.run(50 * MS);
    bed.crash(1, true);
    bed.run(2 * HANG);
    bed.start(1);
    bed.settle();
    let channel = bed.ledger.opens[0].channel;
    let program = bed.connect(1);
    let (process, instance) = (program.process, InstanceNo::new(1, 1));
    let now = bed.now;
    bed.machine(1).with(now, |_, world| {
        let node = &mut *world.node;
        let flags = OpenFlags::SUBSCRIBER;
        node.restore_instance(process, LIBRARY, instance, channel, flags).unwrap();
        let all = Filters(vec![Filter { kind: FilterKind::PassAll, bytes: Vec::new() }]);
        node.subscribe(process, instance, SubscriptionNo(1), all, world.now, world.windows)
            .unwrap();
    });
    // The other node does not know yet that anybody wants it.
    let missed = bed.publish(0, 0, 2, 0);
    bed.run(50 * MS);
    let (_, entry) = bed.machine(0).cluster.directory().linked(&name(0)).unwrap();
    assert!(entry.has(2, Roles::SUBSCRIBER));
    let heard = bed.publish(0, 0, 2, 0);
    bed.run(50 * MS);
    let to = Target { process, library: LIBRARY };
    let inboxes = &mut bed.machine(1).inboxes;
    let ids: Vec<_> = std::iter::from_fn(|| inboxes.take(to))
        .map(|record| record.event.map(|event| event.id))
        .collect();
    assert_eq!(ids, [None, Some(heard)], "without {missed:?}, which is announced");
}

#[test]
fn whoever_notices_a_death_last_is_told_of_the_loss_like_the_others() {
    for seed in 0..40 {
        let mut bed = start(seed, 3, None);
        bed.join_all(0);
        // The retained ones are brought to all, the others to some or to none.
        for retention in [0, 1_000_000 * MS, 0, 1_000_000 * MS, 0] {
            bed.publish(2, 0, 2, retention);
            bed.run(MS / 3);
        }
        bed.crash(2, false);
        bed.settle();
        bed.check();
    }
}

#[test]
fn what_a_program_asked_for_that_has_gone_opens_nothing_for_the_next_one() {
    let mut bed = start(6, 2, None);
    let gone = bed.connect(1);
    bed.open(gone, name(0), ALL, None);
    // The operation is on its way to the sequencer.
    bed.disconnect(gone);
    let next = bed.connect(1);
    assert_eq!(next.process, gone.process, "its number is used again");
    bed.settle();
    let (_, entry) = bed.machine(0).cluster.directory().linked(&name(0)).unwrap();
    assert!(entry.roles.is_empty(), "nobody has it open: {:?}", entry.roles);
    assert_eq!(bed.machine(1).node.totals().instances, 0);
}

#[test]
fn who_always_has_something_to_say_is_not_taken_for_dead() {
    let mut bed = start(7, 3, None);
    let programs = bed.connect_all();
    for program in &programs {
        bed.open(*program, name(0), ALL, None);
        bed.run(50 * MS);
    }
    let view = |bed: &mut Bed, at| bed.machine(at).cluster.view().map(|(view, _)| view);
    let before: Vec<_> = (0..3).map(|at| view(&mut bed, at)).collect();
    for _ in 0..3 * HANG / (5 * MS) {
        bed.publish(0, 0, 2, 0);
        bed.run(5 * MS);
    }
    let after: Vec<_> = (0..3).map(|at| view(&mut bed, at)).collect();
    assert_eq!(before, after);
}

/// An engine carries little, and they report all that is on its way in total order: the pieces of
/// that say that the sender is there, and the view waits for them.
#[test]
fn members_that_have_more_to_report_than_fits_into_the_time_of_a_hang_come_together() {
    let behaviour = Behaviour { room: 4, message_bytes_max: 64, ..Shape::default().behaviour };
    let behaviour = Behaviour { delay_max: 8 * MS, ..behaviour };
    for seed in 0..10 {
        let shape = Shape { behaviour, travels: total(), ..Shape::default() };
        let mut bed = Bed::new(seed, shape);
        bed.start_all();
        for at in 0..3 {
            let program = bed.connect(at);
            bed.open(program, name(0), ALL, None);
            bed.run(HANG);
        }
        // What two of them have is not known to the third.
        bed.stop(2, HANG / 2);
        (0..500).for_each(|_| _ = bed.publish(0, 0, 2, 0));
        bed.run(HANG / 3);
        bed.net.split(BTreeMap::from([(3, 1)]));
        bed.run(HANG / 3);
        bed.net.heal();
        bed.faults += 2;
        bed.settle();
        bed.check();
    }
}
