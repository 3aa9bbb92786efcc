//! Members of two versions in one cluster.

use crate::bed::{Bed, HANG, MS, Shape, name};
use crate::order::total;
use SaEvt::evt::{Error, OpenFlags};

const ALL: OpenFlags = OpenFlags::all();

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
        let mut programs: Vec<_> = (0..3).map(|at| bed.connect(at)).collect();
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

#[test]
fn who_does_not_know_of_total_order_is_left_out_where_it_is_used() {
    for old in 0..3 {
        let mut bed = Bed::new(2, Shape { travels: total(), ..Shape::default() });
        let others: Vec<usize> = (0..3).filter(|at| *at != old).collect();
        others.iter().for_each(|at| bed.start(*at));
        bed.run(2 * HANG);
        let program = bed.connect(others[0]);
        bed.open(program, name(0), ALL, None);
        bed.run(50 * MS);
        bed.subscribe(0, None);
        bed.old = vec![old];
        bed.start(old);
        bed.run(4 * HANG);
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
