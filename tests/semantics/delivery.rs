//! Who gets an event, how often, in which order; subscriptions. SAI-AIS-EVT-B.03.01, chapters on
//! delivery and subscriptions.

use super::*;
use FilterKind::{Exact, PassAll, Prefix, Suffix};

#[test]
fn an_instance_gets_an_event_once_for_the_first_registered_subscription() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 3, exact("other")).unwrap();
    desk.subscribe(open, 5, filters(&[(Suffix, "b")])).unwrap();
    desk.subscribe(open, 6, exact("ab")).unwrap();
    desk.subscribe(open, 7, everything()).unwrap();
    desk.say(open, "ab");
    assert_eq!(desk.heard(process), heard(&[(5, "ab")]));
}

#[test]
fn every_instance_with_a_match_gets_it_in_one_process_or_in_two() {
    let mut desk = Desk::new();
    let (one, two) = (desk.process(), desk.process());
    let opens = [desk.open(one, CHANNEL), desk.open(one, CHANNEL), desk.open(two, CHANNEL)];
    for open in opens {
        desk.subscribe(open, 1, exact("x")).unwrap();
    }
    let silent = desk.open(two, CHANNEL);
    desk.subscribe(silent, 1, exact("y")).unwrap();
    desk.say(opens[0], "x");
    let mut instances: Vec<_> = desk.read(one).into_iter().map(|(open, _)| open).collect();
    instances.sort_unstable();
    assert_eq!(instances, [opens[0].number, opens[1].number]);
    assert_eq!(desk.heard(two), heard(&[(1, "x")]));
}

#[test]
fn the_first_filter_only_finds_candidates_and_the_others_decide() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let rows: [(&[(FilterKind, &str)], bool); 12] = [
        (&[], true),
        (&[(PassAll, "")], true),
        (&[(Exact, "abc")], true),
        (&[(Exact, "abc"), (Exact, "d")], true),
        (&[(Exact, "abc"), (Exact, "x")], false),
        (&[(Exact, "ab")], false),
        (&[(Prefix, "ab"), (Suffix, "")], true),
        (&[(Prefix, "abcd")], false),
        (&[(Prefix, ""), (Prefix, "d"), (Exact, "")], true),
        (&[(Suffix, "bc"), (PassAll, ""), (Exact, "x")], false),
        (&[(Suffix, "abc")], true),
        (&[(PassAll, ""), (Exact, "")], false),
    ];
    for (number, (list, matches)) in rows.into_iter().enumerate() {
        let number = number as u32;
        desk.subscribe(open, number, filters(list)).unwrap();
        let ids = desk.ids.iter_mut().find(|(of, _)| *of == process).unwrap();
        let (id, attributes) = (ids.1.next(), pack(&["abc", "d"]));
        let publication = publication(open, id, Draft::default(), &attributes);
        let inboxes = &mut desk.inboxes;
        let cost = desk.node.publish(process, &publication, u32::MAX, desk.now, inboxes).unwrap();
        assert_eq!(cost.enqueues, u32::from(matches), "{list:?}");
        desk.unsubscribe(open, number).unwrap();
        let taken: Vec<_> = desk.read(process);
        assert_eq!(taken.len(), usize::from(matches), "{list:?}");
    }
}

#[test]
fn subscriptions_that_cannot_match_cost_nothing() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 0, exact("x")).unwrap();
    let draft = Draft { pattern: "x", ..Draft::default() };
    let before = desk.publish_without_credit(open, draft).unwrap().1;
    for number in 1..2000 {
        let kind = [Exact, Prefix, Suffix][number as usize % 3];
        desk.subscribe(open, number, filters(&[(kind, &format!("y{number:05}"))])).unwrap();
    }
    assert_eq!(desk.publish_without_credit(open, draft).unwrap().1, before);
}

#[test]
fn urgent_events_come_before_less_urgent_ones_that_wait() {
    let mut desk = Desk::with(Limits::default(), 1);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    for (priority, pattern) in
        [(3, "d1"), (3, "d2"), (1, "b1"), (0, "a1"), (1, "b2"), (2, "c1"), (0, "a2"), (3, "d3")]
    {
        desk.publish(open, Draft { priority, pattern, ..Draft::default() });
    }
    let order: Vec<_> = desk.heard(process).into_iter().map(|(_, pattern)| pattern).collect();
    assert_eq!(order, ["a1", "a2", "b1", "b2", "c1", "d1", "d2", "d3"]);
}

#[test]
fn room_in_the_window_does_not_let_an_event_overtake_those_that_wait() {
    let mut desk = Desk::with(Limits::default(), 1);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    let (first, second) = (desk.say(open, "1"), desk.say(open, "2"));
    assert!(desk.take(process).is_some_and(|record| record.event.unwrap().id == first));
    let third = desk.say(open, "3");
    assert_eq!(desk.ids(process), [second, third]);
}

#[test]
fn a_taker_gets_all_that_was_published_unchanged() {
    let mut desk = Desk::with(Limits::default(), 1);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 4, everything()).unwrap();
    let draft = Draft { pattern: "p", priority: 2, data: "some data", ..Draft::default() };
    let ids = [desk.publish(open, draft), desk.publish(open, draft)];
    let events: Vec<_> = desk.read(process).into_iter().map(|(_, event)| event.unwrap()).collect();
    for (event, id) in events.iter().zip(ids) {
        assert_eq!(event.id, id);
        assert_eq!(event.subscription, SubscriptionNo(4));
        assert_eq!(event.publish_time, 99);
        assert_eq!((event.retention, event.left), (Span::ZERO, Span::ZERO));
        assert_eq!(event.priority.number(), 2);
        assert_eq!(event.attributes, pack(&["p"]).packed());
        assert_eq!(event.data, b"some data");
    }
    assert_eq!(events.len(), 2);
}

#[test]
fn subscribing_is_refused_in_the_order_of_the_contract() {
    let limits = Limits { patterns_max: 2, pattern_bytes_max: 3, ..Limits::default() };
    let mut desk = Desk::with(limits, 10);
    let process = desk.process();
    let publisher = desk.try_open(process, CHANNEL, PUBLISH | CREATE).unwrap();
    let open = desk.open(process, CHANNEL);
    let stale = Open { number: InstanceNo::new(4000, 0), ..open };
    let big = exact("abcd");
    assert_eq!(desk.subscribe(stale, 1, big.clone()), Err(Error::BadHandle));
    assert_eq!(desk.subscribe(publisher, 1, big.clone()), Err(Error::Access));
    assert_eq!(desk.subscribe(open, 1, exact("abc")), Ok(()));
    assert_eq!(desk.subscribe(open, 1, big), Err(Error::TooBig));
    let many = filters(&[(PassAll, ""), (PassAll, ""), (PassAll, "")]);
    assert_eq!(desk.subscribe(open, 2, many), Err(Error::TooBig));
    assert_eq!(desk.subscribe(open, 1, everything()), Err(Error::Exist));
    let two = filters(&[(PassAll, ""), (PassAll, "")]);
    assert_eq!(desk.subscribe(open, 2, two), Ok(()));
}

#[test]
fn unsubscribing_what_is_not_there_is_refused() {
    let mut desk = Desk::new();
    let process = desk.process();
    let publisher = desk.try_open(process, CHANNEL, PUBLISH | CREATE).unwrap();
    let stale = Open { number: InstanceNo::new(4000, 0), ..publisher };
    assert_eq!(desk.unsubscribe(publisher, 1), Err(Error::NotExist));
    assert_eq!(desk.unsubscribe(stale, 1), Err(Error::BadHandle));
}

#[test]
fn queued_events_are_matched_again_when_their_subscription_goes() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let (open, other) = (desk.open(process, CHANNEL), desk.open(process, "safChnl=b"));
    desk.subscribe(open, 1, filters(&[(Prefix, "a")])).unwrap();
    desk.subscribe(open, 2, filters(&[(Suffix, "z")])).unwrap();
    desk.subscribe(open, 3, filters(&[(Suffix, "z")])).unwrap();
    desk.subscribe(other, 1, everything()).unwrap();
    for pattern in ["a", "az", "z"] {
        desk.say(open, pattern);
    }
    desk.say(other, "b");
    desk.unsubscribe(open, 1).unwrap();
    desk.inboxes.capacity = 9;
    assert_eq!(desk.heard(process), heard(&[(2, "az"), (2, "z"), (1, "b")]));
}

#[test]
fn close_drops_what_waits_for_the_instance_and_nothing_else() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let (open, other) = (desk.open(process, CHANNEL), desk.open(process, CHANNEL));
    desk.subscribe(open, 1, everything()).unwrap();
    desk.subscribe(other, 2, everything()).unwrap();
    desk.say(open, "x");
    assert!(desk.inboxes.backlog[&inbox(process)]);
    desk.close(open);
    desk.inboxes.capacity = 9;
    assert_eq!(desk.heard(process), heard(&[(2, "x")]));
    assert!(!desk.inboxes.backlog[&inbox(process)]);
}

#[test]
fn the_backlog_ends_when_what_waits_is_purged() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    desk.say(open, "x");
    desk.unsubscribe(open, 1).unwrap();
    assert!(!desk.inboxes.backlog[&inbox(process)]);
}

#[test]
fn changing_filters_by_a_second_subscription_loses_and_repeats_nothing() {
    let mut desk = Desk::with(Limits::default(), 1);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, filters(&[(Prefix, "a")])).unwrap();
    let mut said = vec![desk.say(open, "a1"), desk.say(open, "a2")];
    desk.subscribe(open, 2, filters(&[(Prefix, "a"), (PassAll, "")])).unwrap();
    said.push(desk.say(open, "a3"));
    desk.unsubscribe(open, 1).unwrap();
    said.push(desk.say(open, "a4"));
    assert_eq!(desk.ids(process), said);
}
