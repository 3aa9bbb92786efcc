//! Members that take events more slowly than they are published.

use crate::bed::{ALL, Bed, HANG, MS, PATIENCE, Shape, name};
use SaEvt::evt::cluster::{Plant, Remote, Travel, Travels};
use SaEvt::evt::{NamePattern, Span};
use SaEvt::transport::sim::Behaviour;

/// Three members; publishers of the first name wait for others, those of the second do not. On each
/// machine a program has both channels open.
fn bed(behaviour: Behaviour, plant: Option<Plant>) -> Bed {
    let patient = Travel { remote: Remote::Backpressure, ..Travel::default() };
    let some = vec![(NamePattern::new("safChnl=c0"), patient)];
    let travels = Travels { all: Travel::default(), some };
    let peer_queue = 40_000;
    let shape =
        Shape { behaviour, peer_queue, queue_events: 100_000, plant, travels, ..Shape::default() };
    let mut bed = Bed::new(7, shape);
    bed.start_all();
    for at in 0..3 {
        let program = bed.connect(at);
        for number in 0..2 {
            bed.open(program, name(number), ALL, None);
            bed.run(50 * MS);
        }
    }
    for open in 0..6 {
        bed.subscribe(open, None);
    }
    bed
}

fn narrow() -> Behaviour {
    Behaviour { room: 3, message_bytes_max: 500, ..Shape::default().behaviour }
}

#[test]
fn nothing_is_lost_towards_a_member_that_is_only_slow() {
    slow_member(None);
}

/// A publisher that tries again loses nothing, though others on the same way lose what they do not
/// wait for.
pub(crate) fn slow_member(plant: Option<Plant>) {
    let mut bed = bed(narrow(), plant);
    let (mut sent, mut held) = (Vec::new(), 0);
    for turn in 0..4000 {
        if bed.is_held(0, 2) {
            held += 1;
        } else {
            sent.push(bed.publish(0, 0, 2, 0));
        }
        bed.publish(1, 0, 2, 0);
        if turn % 10 == 0 {
            bed.run(MS / 2);
            bed.read_all();
        }
    }
    bed.settle();
    bed.check();
    assert!(held > 100 && sent.len() > 100, "it has waited {held} times for {}", sent.len());
    for open in [0, 2, 4] {
        let open = &bed.ledger.opens[open];
        assert_eq!(open.lost_at, None, "nothing was lost: {open:?}");
        assert!(sent.iter().all(|id| open.has_had(*id)), "everything has come");
    }
    assert!(bed.ledger.opens[3].lost_at.is_some(), "where nobody waits something is lost");
}

/// A member that reads slowly hears all the same that the publisher's node is there.
#[test]
fn a_queue_that_is_always_full_takes_nobody_for_dead() {
    let mut bed = bed(narrow(), None);
    let view = |bed: &mut Bed, at| bed.machine(at).cluster.view().map(|(view, _)| view);
    let views = |bed: &mut Bed| [0, 1, 2].map(|at| view(bed, at));
    let before = views(&mut bed);
    let end = bed.now + 5 * HANG;
    let mut held = 0;
    while bed.now < end {
        while !bed.is_held(0, 2) {
            bed.publish(0, 0, 2, 0);
        }
        held += 1;
        bed.run(MS / 2);
        bed.read_all();
        assert_eq!(views(&mut bed), before, "after {held} times without room");
    }
    bed.settle();
    bed.check();
}

#[test]
fn publishers_wait_a_bounded_time_for_a_member_that_hangs() {
    hung_member(None);
}

/// They go on when their patience is over, also before the member is gone on without; urgent events
/// and other channels never wait.
pub(crate) fn hung_member(plant: Option<Plant>) {
    let mut bed = bed(Behaviour { room: 20, ..Shape::default().behaviour }, plant);
    bed.stop(2, HANG / 2 + PATIENCE);
    let mut since = None;
    while since.is_none() {
        bed.publish(0, 0, 2, 0);
        since = bed.is_held(0, 2).then_some(bed.now);
        bed.run(MS / 10);
    }
    assert!(!bed.is_held(0, 0), "an urgent event does not wait");
    assert!(!bed.is_held(1, 2), "nor do events of other channels");
    let urgent = bed.publish(0, 0, 0, 0);
    bed.run(PATIENCE - 20 * MS);
    assert!(bed.is_held(0, 2), "the patience is not over");
    bed.run(40 * MS);
    assert!(!bed.is_held(0, 2), "the patience is over");
    assert!(bed.machine(0).cluster.view().is_some_and(|(_, all)| all.len() == 3), "it is there");
    while bed.ledger.opens[4].lost_at.is_none() {
        for _ in 0..20 {
            bed.publish(0, 0, 2, 0);
        }
        bed.run(MS);
        bed.read_all();
        assert!(bed.now < 100 * HANG, "what is dropped is announced");
    }
    bed.settle();
    bed.check();
    assert!(bed.ledger.opens[2].has_had(urgent));
    let others = [0, 1, 2, 3].map(|open| bed.ledger.opens[open].lost_at);
    assert_eq!(others, [None; 4], "nobody else has lost anything");
}

/// An engine that had no room for two members says once that there is some.
#[test]
fn the_rest_of_a_packet_goes_to_everybody_when_there_is_room() {
    let shape = Shape { behaviour: narrow(), ..Shape::default() };
    let mut bed = Bed::new(8, shape);
    // Nothing else is said that could take the rest along.
    (bed.settings.beat_min, bed.settings.beat_max) = (Span(HANG / 3), Span(HANG / 3));
    bed.start_all();
    let programs = bed.connect_all();
    for program in programs {
        bed.open(program, name(0), ALL, None);
        bed.run(HANG);
    }
    (0..3).for_each(|open| bed.subscribe(open, None));
    for _ in 0..5 {
        bed.run(HANG);
        let sent: Vec<_> = (0..40).map(|_| bed.publish(0, 0, 2, 0)).collect();
        bed.run(HANG / 10);
        bed.read_all();
        for open in &bed.ledger.opens {
            assert!(sent.iter().all(|id| open.has_had(*id)), "all has come at once: {open:?}");
        }
    }
}
