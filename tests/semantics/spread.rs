//! One publication with many takers, given to them in several batches.

use super::*;

/// Six processes with an instance each, of which the first publishes.
fn crowd(desk: &mut Desk) -> Vec<Open> {
    let opens: Vec<_> = (0..6)
        .map(|_| {
            let process = desk.process();
            desk.open(process, "c")
        })
        .collect();
    for open in &opens {
        desk.subscribe(*open, 1, exact("x")).unwrap();
    }
    opens
}

/// Begins a publication that has reached `batch` takers.
fn begin(desk: &mut Desk, open: Open, draft: Draft<'_>, batch: u32) -> (EventId, Cost) {
    if draft.retention > Span::ZERO {
        desk.node.grant_credit(open.process, 1, 1 << 20);
    }
    let ids = desk.ids.iter_mut().find(|(process, _)| *process == open.process).unwrap();
    let id = ids.1.next();
    let attributes = pack(&[draft.pattern]);
    let publication = publication(open, id, draft, &attributes);
    desk.inboxes.in_flight = draft.data.into();
    let inboxes = &mut desk.inboxes;
    let cost = desk.node.publish(open.process, &publication, batch, desk.now, inboxes).unwrap();
    // The publisher's memory is its own again.
    desk.inboxes.in_flight = b"else".to_vec();
    (id, cost)
}

fn go_on(desk: &mut Desk, of: Option<Open>, batch: u32) -> Cost {
    let process = of.map(|open| open.process);
    desk.node.publish_on(process, batch, desk.now, &mut desk.inboxes)
}

const EVENT: Draft<'_> = Draft { pattern: "x", priority: 3, retention: Span::ZERO, data: "data" };
const KEPT: Draft<'_> = Draft { retention: Span(1000), ..EVENT };

#[test]
fn wherever_it_is_split_everybody_gets_the_event_once() {
    for draft in [EVENT, KEPT] {
        for batch in 1..=7 {
            let mut desk = Desk::new();
            let opens = crowd(&mut desk);
            let (id, first) = begin(&mut desk, opens[0], draft, batch);
            assert_eq!((first.enqueues, first.waits), (batch.min(6), 6 - batch.min(6)));
            let mut left = first.waits;
            while left > 0 {
                let cost = go_on(&mut desk, Some(opens[0]), batch);
                assert_eq!((cost.enqueues, cost.waits), (batch.min(left), left - batch.min(left)));
                left = cost.waits;
            }
            assert_eq!(go_on(&mut desk, Some(opens[0]), batch), Cost::default());
            for open in &opens {
                let read = desk.read(open.process);
                let [(number, Some(event))] = &read[..] else { panic!("{read:?}") };
                assert_eq!((*number, event.id), (open.number, id));
                assert_eq!(event.data, b"data");
            }
        }
    }
}

#[test]
fn those_who_come_later_are_no_takers_also_in_the_place_of_one_who_left() {
    let mut desk = Desk::new();
    let opens = crowd(&mut desk);
    begin(&mut desk, opens[0], EVENT, 1);
    desk.disconnect(opens[5].process);
    let process = desk.process();
    assert_eq!(process, opens[5].process, "the slot is used again");
    let late = desk.open(process, "c");
    desk.subscribe(late, 1, exact("x")).unwrap();
    assert_eq!(go_on(&mut desk, Some(opens[0]), 9).waits, 0);
    assert_eq!(desk.ids(process), []);
    assert_eq!(desk.ids(opens[4].process).len(), 1);
}

#[test]
fn who_subscribes_meanwhile_gets_the_event_before_the_retained_copy() {
    let mut desk = Desk::new();
    let opens = crowd(&mut desk);
    let (id, _) = begin(&mut desk, opens[0], KEPT, 1);
    desk.subscribe(opens[5], 2, everything()).unwrap();
    // The copy for the second subscription is dropped by the agent, who knows what came live.
    let read = desk.heard(opens[5].process);
    assert_eq!(read, heard(&[(1, "x"), (2, "x")]));
    assert!(!desk.node.is_on_its_way(opens[5].process, opens[5].number, id));
    assert_eq!(go_on(&mut desk, Some(opens[0]), 9).waits, 0);
    assert_eq!(desk.ids(opens[5].process), []);
}

#[test]
fn who_unsubscribes_meanwhile_gets_the_event_for_what_remains() {
    let mut desk = Desk::new();
    let opens = crowd(&mut desk);
    desk.subscribe(opens[4], 2, exact("y")).unwrap();
    desk.subscribe(opens[4], 3, everything()).unwrap();
    begin(&mut desk, opens[0], EVENT, 1);
    desk.unsubscribe(opens[4], 1).unwrap();
    desk.unsubscribe(opens[5], 1).unwrap();
    go_on(&mut desk, Some(opens[0]), 9);
    assert_eq!(desk.heard(opens[4].process), heard(&[(3, "x")]));
    assert_eq!(desk.heard(opens[5].process), []);
    assert_eq!(desk.heard(opens[3].process), heard(&[(1, "x")]));
}

#[test]
fn the_event_of_a_publisher_that_dies_reaches_everybody() {
    let mut desk = Desk::new();
    let opens = crowd(&mut desk);
    let (id, _) = begin(&mut desk, opens[0], EVENT, 2);
    desk.disconnect(opens[0].process);
    assert_eq!(desk.node.orphans(), 1);
    assert_eq!(go_on(&mut desk, Some(opens[0]), 9), Cost::default());
    while desk.node.orphans() > 0 {
        assert_eq!(go_on(&mut desk, None, 1).enqueues, 1);
    }
    for open in &opens[1..] {
        assert_eq!(desk.ids(open.process), [id]);
    }
}

#[test]
fn what_was_begun_before_a_crash_is_told_as_lost_in_batches_too() {
    let mut desk = Desk::new();
    let opens = crowd(&mut desk);
    let ids = desk.ids.iter_mut().find(|(process, _)| *process == opens[0].process).unwrap();
    let id = ids.1.next();
    let attributes = pack(&["x"]);
    let again = publication(opens[0], id, EVENT, &attributes);
    let process = opens[0].process;
    let cost = desk.node.publish_again(process, &again, 4, desk.now, &mut desk.inboxes).unwrap();
    assert_eq!((cost.enqueues, cost.waits), (4, 2));
    assert_eq!(go_on(&mut desk, Some(opens[0]), 9).waits, 0);
    for open in &opens {
        assert_eq!(desk.ids(open.process), [EventId::LOST]);
    }
}

#[test]
fn work_that_grows_with_what_is_held_is_counted() {
    let mut desk = Desk::with(Limits::default(), 1);
    let opens = crowd(&mut desk);
    for _ in 0..21 {
        desk.publish(opens[0], KEPT);
    }
    desk.node.take_work();
    desk.unsubscribe(opens[1], 1).unwrap();
    assert!(desk.node.take_work() >= 20, "the queue was gone through");
    assert_eq!(desk.node.take_work(), 0);
    desk.subscribe(opens[1], 2, exact("y")).unwrap();
    assert!(desk.node.take_work() >= 21, "the retained events were gone through");
    desk.node.library_close(opens[2].process, LibraryNo(0));
    assert!(desk.node.take_work() >= 2, "an instance and its subscription were taken out");
    desk.inboxes.capacity = 22;
    desk.node.take_work();
    desk.drain(opens[3].process);
    assert!(desk.node.take_work() >= 20, "the queue was moved");
}
