//! What operations cost clusters of many members: the table in ARCHITECTURE.md, "The cluster".

use crate::bed::{ALL, Bed, HANG, MS, Shape, name};
use SaEvt::evt::cluster::{Ordering, Travel, Travels};
use SaEvt::evt::{NamePattern, Span};
use SaEvt::transport::Order;
use SaEvt::transport::sim::Behaviour;

/// Messages and bytes of all members so far; what is one message for several counts as one.
fn traffic(bed: &Bed) -> (u64, u64) {
    let members = bed.machines.len() as u32;
    let pairs = (1..=members).flat_map(|from| (1..=members).map(move |to| (from, to)));
    let each = pairs.map(|(from, to)| bed.net.traffic(from, to));
    let all = each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let spared = bed.net.spared();
    (all.0 - spared.0, all.1 - spared.1)
}

/// What an act costs: messages and bytes, without signs of life.
fn cost(bed: &mut Bed, act: impl FnOnce(&mut Bed)) -> (u64, u64) {
    let before = traffic(bed);
    act(bed);
    bed.run(HANG / 12);
    let after = traffic(bed);
    (after.0 - before.0, after.1 - before.1)
}

/// The least that an act costs in several turns: in some of them there are signs of life besides.
fn least(bed: &mut Bed, mut act: impl FnMut(&mut Bed, usize)) -> (u64, u64) {
    let costs = (0..8).map(|turn| {
        bed.run(HANG / 7);
        cost(bed, |bed| act(bed, turn))
    });
    costs.min().expect("turns")
}

/// Signs of life are rare beside what is measured.
fn quiet(members: usize, order: Order) -> Bed {
    let total = Travel { ordering: Ordering::Total, ..Travel::default() };
    let some = vec![(NamePattern::new("safChnl=c1"), total)];
    let travels = Travels { all: Travel::default(), some };
    let behaviour = Behaviour { order, ..Shape::default().behaviour };
    let mut bed = Bed::new(1, Shape { members, travels, behaviour, ..Shape::default() });
    (bed.settings.beat_min, bed.settings.beat_max) = (Span(HANG), Span(HANG));
    bed.settings.hang_time = Span(10 * HANG);
    bed.start_all();
    bed.run(HANG);
    bed
}

#[test]
fn messages_grow_with_members_and_subscribers_as_documented() {
    for members in 2..=16 {
        let others = members as u64 - 1;
        grow(members, Order::Publisher, (1 + 3 * others, others));
    }
}

#[test]
fn what_is_the_same_for_all_is_one_message_where_the_engine_has_a_multicast() {
    for members in 2..=16 {
        grow(members, Order::Total, (members as u64 + 2, 1));
    }
}

/// Looks at the messages for an operation, and for an event for all, of clusters that have so many
/// `members`.
fn grow(members: usize, order: Order, (operation, spread): (u64, u64)) {
    let mut bed = quiet(members, order);
    let programs = bed.connect_all();
    let last = programs[members - 1];
    let create = least(&mut bed, |bed, turn| bed.open(last, name(2 + turn), ALL, None));
    assert_eq!(create.0, operation, "{members} members: create");
    let again = least(&mut bed, |bed, turn| bed.open(last, name(2 + turn), ALL, None));
    assert_eq!(again.0, 0, "open of a known channel");
    let first = bed.ledger.opens.len();
    for program in &programs {
        for number in 0..2 {
            bed.open(*program, name(number), ALL, None);
            bed.run(20 * MS);
        }
    }
    let at = first + 2 * (members - 1);
    bed.run(HANG);
    let event = least(&mut bed, |bed, _| {
        bed.publish(at, 0, 2, 0);
    });
    assert_eq!(event.0, spread, "{members} members: an event for all");
    let ordered = least(&mut bed, |bed, _| {
        bed.publish(at + 1, 0, 2, 0);
    });
    assert_eq!(ordered.0, operation, "{members} members: an event in total order");
    println!("{members}: {create:?} {event:?} {ordered:?} (messages, bytes)");
}
