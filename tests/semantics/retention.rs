//! Retained events. SAI-AIS-EVT-B.03.01, chapter on retention.

use super::*;

const LONG: Span = Span(1000);

fn kept(pattern: &str, priority: u8) -> Draft<'_> {
    Draft { pattern, priority, retention: LONG, data: "data" }
}

fn clear(desk: &mut Desk, open: Open, id: EventId) -> Result<(), Error> {
    desk.node.retention_clear(open.process, open.number, id)
}

#[test]
fn a_retained_event_goes_to_present_and_to_later_subscribers() {
    let mut desk = Desk::new();
    let process = desk.process();
    let (present, later) = (desk.open(process, CHANNEL), desk.open(process, CHANNEL));
    desk.subscribe(present, 1, everything()).unwrap();
    let id = desk.publish(present, kept("x", 3));
    assert_eq!(desk.ids(process), [id]);
    desk.subscribe(later, 1, everything()).unwrap();
    assert_eq!(desk.read(process)[0].0, later.number);
}

#[test]
fn opening_delivers_nothing_and_filters_choose_among_the_retained() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x", 3));
    desk.publish(open, kept("y", 3));
    desk.say(open, "y");
    let late = desk.open(process, CHANNEL);
    assert_eq!(desk.heard(process), heard(&[]));
    desk.subscribe(late, 4, exact("y")).unwrap();
    assert_eq!(desk.heard(process), heard(&[(4, "y")]));
}

#[test]
fn retained_events_come_by_priority_then_publish_order_and_before_new_ones() {
    for capacity in [1, 2, 100] {
        let mut desk = Desk::with(Limits::default(), capacity);
        let process = desk.process();
        let open = desk.open(process, CHANNEL);
        for (pattern, priority) in [("d1", 3), ("a1", 0), ("d2", 3), ("b1", 1), ("a2", 0)] {
            desk.publish(open, kept(pattern, priority));
        }
        desk.subscribe(open, 1, everything()).unwrap();
        desk.publish(open, kept("d3", 3));
        desk.publish(open, Draft { pattern: "a3", priority: 0, ..Draft::default() });
        let order: Vec<_> = desk.heard(process).into_iter().map(|(_, pattern)| pattern).collect();
        assert_eq!(order, ["a1", "a2", "a3", "b1", "d1", "d2", "d3"], "{capacity}");
    }
}

#[test]
fn a_late_subscriber_gets_all_attributes_and_the_time_left() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.now = Time(50);
    let id = desk.publish(open, kept("x", 1));
    let forever = Draft { retention: Span::FOREVER, ..kept("y", 1) };
    desk.publish(open, forever);
    desk.now = Time(250);
    desk.subscribe(open, 1, everything()).unwrap();
    let mut read = desk.read(process);
    assert_eq!(read.remove(1).1.unwrap().left, Span::FOREVER);
    let event = read.remove(0).1.unwrap();
    assert_eq!((event.retention, event.left), (LONG, Span(800)));
    assert_eq!((event.id, event.publish_time), (id, 99));
    assert_eq!((event.priority.number(), &event.data[..]), (1, &b"data"[..]));
    assert_eq!(event.attributes, pack(&["x"]).packed());
}

#[test]
fn an_event_lapses_when_its_time_is_over_and_not_before() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.now = Time(50);
    desk.publish(open, kept("x", 1));
    let forever = Draft { retention: Span::FOREVER, ..kept("y", 1) };
    desk.publish(open, forever);
    assert_eq!(desk.node.next_deadline(), Some(Time(1050)));
    assert_eq!(desk.node.expire(Time(1049)), 0);
    assert_eq!(desk.node.expire(Time(1050)), 1);
    assert_eq!(desk.node.next_deadline(), None);
    assert_eq!(desk.node.expire(Time::MAX), 0);
    desk.subscribe(open, 1, everything()).unwrap();
    assert_eq!(desk.heard(process), heard(&[(1, "y")]));
}

#[test]
fn a_lapsed_event_is_not_given_out_even_if_the_clock_was_not_looked_at() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x", 1));
    desk.now = Time(1000);
    desk.subscribe(open, 1, everything()).unwrap();
    assert_eq!(desk.heard(process), heard(&[]));
}

#[test]
fn long_retention_times_do_not_wrap_into_short_ones() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.now = Time(u64::MAX - 5);
    desk.publish(open, Draft { retention: Span(i64::MAX as u64 - 1), ..kept("x", 1) });
    assert_eq!(desk.node.next_deadline(), None);
    desk.now = Time(u64::MAX - 1);
    desk.subscribe(open, 1, everything()).unwrap();
    assert_eq!(desk.heard(process), heard(&[(1, "x")]));
}

#[test]
fn clearing_is_for_any_instance_of_the_channel_and_for_retained_events() {
    let mut desk = Desk::new();
    let (one, two) = (desk.process(), desk.process());
    let publisher = desk.open(one, CHANNEL);
    let stranger = desk.open(two, "safChnl=b");
    let other = desk.try_open(two, CHANNEL, SUBSCRIBE).unwrap();
    let id = desk.publish(publisher, kept("x", 1));
    let transient = desk.say(publisher, "x");
    let stale = Open { number: InstanceNo::new(4000, 0), ..other };
    assert_eq!(clear(&mut desk, stale, id), Err(Error::BadHandle));
    assert_eq!(clear(&mut desk, stranger, id), Err(Error::NotExist));
    assert_eq!(clear(&mut desk, other, transient), Err(Error::NotExist));
    assert_eq!(clear(&mut desk, other, EventId::LOST), Err(Error::NotExist));
    assert_eq!(clear(&mut desk, other, id), Ok(()));
    assert_eq!(clear(&mut desk, other, id), Err(Error::NotExist));
    let id = desk.publish(publisher, kept("x", 1));
    desk.node.expire(Time(1000));
    assert_eq!(clear(&mut desk, other, id), Err(Error::NotExist));
    assert_eq!(desk.node.next_deadline(), None);
    desk.subscribe(other, 1, everything()).unwrap();
    assert_eq!(desk.heard(two), heard(&[]));
}

#[test]
fn a_clear_does_not_recall_a_live_event_that_waits() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    let id = desk.publish(open, kept("x", 1));
    clear(&mut desk, open, id).unwrap();
    desk.inboxes.capacity = 1;
    assert_eq!(desk.ids(process), [id]);
}

#[test]
fn a_burst_of_retained_events_overflows_no_queue() {
    let limits = Limits { queue_events_max: 2, queue_bytes_max: 20, ..Limits::default() };
    let mut desk = Desk::with(limits, 3);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let ids: Vec<_> = (0..500).map(|_| desk.publish(open, kept("x", 2))).collect();
    desk.subscribe(open, 1, everything()).unwrap();
    assert_eq!(desk.node.statistics(&mut |_| {}).queued_events, 0);
    assert_eq!(desk.ids(process), ids);
}

#[test]
fn each_subscription_is_offered_the_retained_events_and_the_agent_knows_which_are_new() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x", 2));
    desk.subscribe(open, 1, everything()).unwrap();
    desk.subscribe(open, 2, everything()).unwrap();
    assert_eq!(desk.heard(process), heard(&[(1, "x"), (2, "x")]));
}

#[test]
fn what_a_removed_subscription_had_still_to_get_keeps_its_place_for_those_that_remain() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x1", 2));
    desk.publish(open, kept("y1", 2));
    desk.subscribe(open, 1, everything()).unwrap();
    desk.publish(open, Draft { pattern: "x2", priority: 2, ..Draft::default() });
    desk.subscribe(open, 2, filters(&[(FilterKind::Prefix, "x")])).unwrap();
    desk.unsubscribe(open, 1).unwrap();
    desk.inboxes.capacity = 9;
    // The second offer of x1 is the agent's to drop, as with every overlapping subscription.
    assert_eq!(desk.heard(process), heard(&[(2, "x1"), (2, "x2"), (2, "x1")]));
}

#[test]
fn a_replay_goes_with_the_last_subscription_that_matches() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x", 2));
    desk.subscribe(open, 1, everything()).unwrap();
    desk.unsubscribe(open, 1).unwrap();
    assert!(!desk.inboxes.backlog[&inbox(process)]);
    desk.subscribe(open, 2, everything()).unwrap();
    desk.subscribe(open, 3, exact("y")).unwrap();
    desk.unsubscribe(open, 2).unwrap();
    assert!(!desk.inboxes.backlog[&inbox(process)]);
    desk.inboxes.capacity = 9;
    assert_eq!(desk.heard(process), heard(&[]));
}

#[test]
fn changing_filters_without_end_keeps_a_bounded_number_of_replays() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, kept("x", 2));
    for number in 1..100 {
        desk.subscribe(open, number, everything()).unwrap();
        desk.unsubscribe(open, number - 1).unwrap_or_default();
    }
    desk.inboxes.capacity = 100;
    // Eight left over, and that of the subscription that remains.
    assert_eq!(desk.heard(process), vec![(99, "x".to_owned()); 9]);
}

#[test]
fn retained_events_outlive_their_publisher_and_unlinking_but_not_the_channel() {
    let mut desk = Desk::new();
    let (one, two) = (desk.process(), desk.process());
    let publisher = desk.open(one, CHANNEL);
    let other = desk.open(two, CHANNEL);
    desk.publish(publisher, kept("x", 2));
    desk.disconnect(one);
    desk.unlink(CHANNEL).unwrap();
    desk.subscribe(other, 1, everything()).unwrap();
    assert_eq!(desk.heard(two), heard(&[(1, "x")]));
    desk.close(other);
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 0);
    assert_eq!(desk.node.next_deadline(), None);
}

#[test]
fn what_is_retained_and_cleared_is_told_and_lapsing_is_not() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.changes();
    let id = desk.publish(open, kept("x", 2));
    let lapsing = desk.publish(open, kept("y", 2));
    clear(&mut desk, open, id).unwrap();
    desk.node.expire(Time(1000));
    let told = desk.changes().into_iter().map(|change| match change {
        Change::Retained { record, deadline, .. } => (record.id, Some(deadline)),
        Change::RetentionEnded { id, .. } => (id, None),
        other => panic!("{other:?}"),
    });
    let deadline = Some(Time(1000));
    let expected = [(id, deadline), (lapsing, deadline), (id, None)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
