//! Channels in total order: all subscribers see one sequence.

use crate::Dice;
use crate::bed::{Bed, HANG, MS, Shape, name};
use SaEvt::evt::Error;
use SaEvt::evt::cluster::{Ordering, Plant, Travel, Travels};
use std::collections::BTreeMap;

pub(crate) fn total() -> Travels {
    Travels { all: Travel { ordering: Ordering::Total, ..Travel::default() }, some: Vec::new() }
}

/// Members with one program each that has the channel open and subscribes.
fn bed(seed: u64, members: usize, plant: Option<Plant>) -> Bed {
    let mut bed = Bed::new(seed, Shape { members, travels: total(), plant, ..Shape::default() });
    bed.start_all();
    bed.join_all(0);
    bed
}

/// Everybody publishes, some before others.
fn publish(bed: &mut Bed, dice: &mut Dice, rounds: u64) {
    for _ in 0..rounds {
        for open in 0..bed.ledger.opens.len() {
            let machine = bed.ledger.opens[open].program.machine;
            if bed.ledger.opens[open].alive && bed.is_up(machine) {
                bed.publish(open, 0, dice.roll(4) as u8, 0);
            }
        }
        bed.run(dice.roll(2 * MS));
        bed.read_all();
    }
}

#[test]
fn all_see_one_sequence_and_lose_nothing() {
    for seed in 0..10 {
        let mut bed = bed(seed, 4, None);
        publish(&mut bed, &mut Dice(seed), 50);
        bed.settle();
        bed.check();
        for open in &bed.ledger.opens {
            assert!(bed.ledger.sent.keys().all(|id| open.has_had(*id)), "{open:?}");
            assert_eq!(open.lost_at, None);
        }
    }
}

/// Events in total order are seen first by nobody: one who is told to try again has not had it
/// either.
#[test]
fn the_sequence_holds_through_death_of_the_sequencer_split_and_merge() {
    through_everything(None);
}

pub(crate) fn through_everything(plant: Option<Plant>) {
    for seed in 0..30 {
        let mut bed = bed(seed, 5, plant);
        let mut dice = Dice(seed);
        publish(&mut bed, &mut dice, 5);
        // The sequencer dies in the middle of it.
        bed.crash(0, dice.roll(2) == 0);
        publish(&mut bed, &mut dice, 20);
        bed.run(dice.roll(HANG));
        publish(&mut bed, &mut dice, 5);
        // Some are cut off, perhaps with the next sequencer.
        let parts = (2..=5).map(|node| (node, dice.roll(2) as u32)).collect();
        bed.net.split(parts);
        bed.faults += 1;
        publish(&mut bed, &mut dice, 40);
        bed.run(dice.roll(2 * HANG));
        publish(&mut bed, &mut dice, 5);
        bed.heal();
        publish(&mut bed, &mut dice, 40);
        bed.start(0);
        bed.run(dice.roll(HANG));
        bed.net.split(BTreeMap::from([(dice.roll(5) as u32 + 1, 1)]));
        bed.faults += 1;
        publish(&mut bed, &mut dice, 40);
        bed.settle();
        publish(&mut bed, &mut dice, 5);
        bed.settle();
        bed.check();
    }
}

#[test]
fn what_is_retained_in_total_order_can_be_cleared_at_once_and_reaches_those_who_come_later() {
    for seed in 0..20 {
        let mut bed = bed(seed, 3, None);
        let kept = bed.publish(1, 0, 2, 1_000_000 * MS);
        let cleared = bed.publish(1, 0, 2, 1_000_000 * MS);
        bed.clear(1, cleared);
        bed.run(50 * MS);
        assert_eq!(bed.answered.last().map(|answered| answered.outcome), Some(Ok(())));
        let elsewhere = bed.publish(2, 0, 2, 1_000_000 * MS);
        bed.clear(0, elsewhere);
        bed.run(50 * MS);
        assert_eq!(bed.answered.last().map(|answered| answered.outcome), Some(Ok(())));
        bed.clear(0, cleared);
        bed.run(50 * MS);
        let missing = Some(Err(Error::NotExist));
        assert_eq!(bed.answered.last().map(|answered| answered.outcome), missing);
        bed.crash(2, false);
        bed.run(2 * HANG);
        bed.start(2);
        bed.settle();
        bed.check();
        for machine in bed.machines.iter().flatten() {
            assert_eq!(machine.cluster.retained_ids(), [kept].into());
        }
        bed.check_late_subscribers(1);
    }
}

/// Their publisher's user pays for them from then until they are kept, and after that as for
/// others; nothing is left of that when they have ended.
#[test]
fn what_is_retained_in_total_order_is_charged_while_it_is_on_its_way() {
    const MOST: u64 = 20;
    let mut bed = Bed::new(1, Shape { travels: total(), ..Shape::default() });
    (bed.limits.retained_events_max, bed.settings.limits[6]) = (MOST, MOST);
    bed.start_all();
    bed.join_all(0);
    let process = bed.ledger.opens[1].program.process;
    let credit = |bed: &mut Bed| {
        let granted = bed.machine(1).node.grant_credit(process, 1000, 1 << 20);
        bed.machine(1).node.return_credit(process, granted);
        u64::from(granted.events)
    };
    // One stopped member holds up all that is published.
    bed.stop(2, HANG / 2);
    for published in 0..MOST {
        assert_eq!(credit(&mut bed), MOST - published, "as if they were kept already");
        bed.publish(1, 0, 2, 5 * HANG);
    }
    assert!(bed.machine(1).cluster.retained_ids().is_empty(), "they are on their way");
    assert_eq!(credit(&mut bed), 0);
    bed.run(HANG);
    assert_eq!(bed.machine(1).cluster.retained_ids().len() as u64, MOST);
    assert_eq!(credit(&mut bed), 0, "they are kept");
    bed.run(6 * HANG);
    assert_eq!(credit(&mut bed), MOST, "they have ended");
    // Those whose channel goes before them are paid for no more either.
    (0..MOST).for_each(|_| _ = bed.publish(1, 0, 2, 1_000_000 * MS));
    bed.unlink(bed.ledger.opens[0].program, name(0));
    (0..3).for_each(|open| bed.close(open));
    bed.settle();
    assert_eq!(credit(&mut bed), MOST, "they are kept nowhere");
    bed.check();
    bed.check_leftovers();
}
