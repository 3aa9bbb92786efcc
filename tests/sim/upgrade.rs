//! Members of two versions in one cluster.

use crate::bed::{ALL, Bed, HANG, MS, Shape, name};
use crate::ledger::Program;
use crate::order::total;
use SaEvt::evt::cluster::{Travel, Travels};
use SaEvt::evt::{Error, NamePattern, OpenFlags};
use std::collections::BTreeMap;

fn is_ordered(bed: &Bed, at: usize, number: usize) -> bool {
    let machine = bed.machines[at].as_ref().unwrap();
    machine.cluster.directory().linked(&name(number)).unwrap().1.ordered
}

#[test]
fn a_cluster_is_upgraded_one_member_at_a_time_and_uses_what_is_new_when_all_have_it() {
    let old = vec![0, 1, 2];
    let mut bed = Bed::new(1, Shape { travels: total(), old, ..Shape::default() });
    bed.start_all();
    // Not the sequencer first, so that the new version leads and follows.
    for (number, upgraded) in [2, 0, 1].into_iter().enumerate() {
        let mut programs = bed.connect_all();
        bed.open(programs[1], name(number), ALL, None);
        bed.run(50 * MS);
        assert!(!is_ordered(&bed, 1, number), "with members that do not know of it");
        for round in 0..2 {
            let before = bed.ledger.opens.len();
            for program in &programs {
                bed.open(*program, name(number), ALL, Some(Ok(())));
                bed.run(50 * MS);
                bed.subscribe(bed.ledger.opens.len() - 1, None);
            }
            let sent = bed.publish(before, 0, 2, 1_000_000 * MS);
            bed.settle();
            bed.check();
            let opens = &bed.ledger.opens[before..];
            for open in opens {
                assert!(open.has_had(sent), "{upgraded}, {round}: {sent:?} to {open:?}");
            }
            if round == 0 {
                bed.crash(upgraded, true);
                bed.run(HANG);
                bed.old.retain(|at| *at != upgraded);
                bed.start(upgraded);
                bed.settle();
                programs[upgraded] = bed.connect(upgraded);
            }
        }
    }
    // Whoever has seen members of the old version in its life takes them for such until it has
    // seen them again.
    let program = bed.connect(0);
    bed.open(program, name(3), ALL, None);
    bed.run(50 * MS);
    assert!((0..3).all(|at| is_ordered(&bed, at, 3)), "all know of it");
    assert!(!is_ordered(&bed, 0, 0), "what was created before is as it was");
}

/// Three members of which one is old and left out, since a channel is in total order; one of the
/// others has it open. Gives those others.
fn without_old(mut bed: Bed, old: usize, opener: usize) -> (Bed, Vec<usize>, Program) {
    let others: Vec<usize> = (0..3).filter(|at| *at != old).collect();
    others.iter().for_each(|at| bed.start(*at));
    bed.run(2 * HANG);
    let program = bed.connect(others[opener]);
    bed.open(program, name(0), ALL, None);
    bed.run(50 * MS);
    bed.subscribe(0, None);
    bed.old = vec![old];
    bed.start(old);
    bed.run(4 * HANG);
    (bed, others, program)
}

#[test]
fn who_does_not_know_of_total_order_is_left_out_where_it_is_used() {
    for old in 0..3 {
        let bed = Bed::new(2, Shape { travels: total(), ..Shape::default() });
        let (mut bed, others, program) = without_old(bed, old, 0);
        let cluster = &bed.machines[others[0]].as_ref().unwrap().cluster;
        assert_eq!(cluster.view().map(|(_, members)| members.len()), Some(2), "without {old}");
        let sent = bed.publish(0, 0, 2, 0);
        bed.run(50 * MS);
        bed.read_all();
        assert!(bed.ledger.opens[0].has_had(sent), "the others go on");
        // When nobody needs it any more the old member is taken in.
        bed.unlink(program, name(0));
        bed.close(0);
        bed.settle();
        bed.check();
        let program = bed.connect(old);
        bed.open(program, name(0), OpenFlags::PUBLISHER, Some(Err(Error::NotExist)));
        bed.run(50 * MS);
    }
}

#[test]
fn what_is_on_its_way_in_total_order_comes_to_its_end_when_an_old_member_is_taken_in() {
    for old in 0..3 {
        (0..12).for_each(|step| old_member_meanwhile(old, step));
    }
}

/// The last channel in total order goes while its events wait for room, and with it what kept the
/// old member out.
fn old_member_meanwhile(old: usize, step: u64) {
    let shape = Shape { travels: total(), peer_queue: 4000, ..Shape::default() };
    let (mut bed, _, program) = without_old(Bed::new(step, shape), old, 1);
    for _ in 0..300 {
        bed.publish(0, 0, 2, 1_000_000 * MS);
    }
    bed.run(step * MS / 2);
    bed.unlink(program, name(0));
    bed.close(0);
    bed.settle();
    bed.check();
    bed.check_leftovers();
}

#[test]
fn what_is_on_its_way_in_total_order_reaches_those_whose_channel_is_in_none_any_more() {
    for old in 0..4 {
        (0..20).for_each(|step| met_meanwhile(old, step));
    }
}

/// Two channels of one name meet, of which one is in total order and has events on their way. So
/// neither is from then on; when another channel has gone too the old member is taken in.
fn met_meanwhile(old: usize, step: u64) {
    let mut bed = Bed::new(step, Shape { members: 4, peer_queue: 4000, ..Shape::default() });
    let others: Vec<usize> = (0..4).filter(|at| *at != old).collect();
    bed.net.split(BTreeMap::from([(others[2] as u32 + 1, 1)]));
    bed.settings.travels = Travels { some: vec![plain(0)], ..total() };
    bed.start(others[2]);
    bed.settings.travels = total();
    others[..2].iter().for_each(|at| bed.start(*at));
    bed.run(2 * HANG);
    for at in &others {
        bed.join(*at, 0);
    }
    let apart = bed.ledger.opens[2].program;
    bed.open(apart, name(1), ALL, None);
    bed.old = vec![old];
    bed.start(old);
    bed.run(2 * HANG);
    assert!(is_ordered(&bed, others[0], 0) && !is_ordered(&bed, others[2], 0));
    bed.heal();
    let mut met_at = None;
    while met_at.is_none_or(|at| bed.now < at + step * MS) {
        // What has been given is soon retained no more.
        (0..2).for_each(|open| _ = bed.publish(open, 0, 2, 30 * MS));
        bed.run(MS / 10);
        met_at = met_at.or((!is_ordered(&bed, others[0], 0)).then_some(bed.now));
        assert!(bed.now < 100 * HANG, "it meets one that is not");
    }
    bed.unlink(apart, name(1));
    bed.close(3);
    for _ in 0..100 {
        (0..3).for_each(|open| _ = bed.publish(open, 0, 2, 30 * MS));
        bed.run(MS / 10);
    }
    bed.settle();
    // There was no one sequence any more.
    bed.ledger.opens.iter_mut().for_each(|open| open.ordered = false);
    bed.check();
}

/// The events of this channel are in no total order.
fn plain(number: usize) -> (NamePattern, Travel) {
    (NamePattern::new(&format!("safChnl=c{number}")), Travel::default())
}
