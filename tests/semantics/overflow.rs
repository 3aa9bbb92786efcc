//! Bounded queues and the lost-event. SAI-AIS-EVT-B.03.01, chapter on overflow.

use super::*;

/// A desk whose windows have no room and whose queues hold `events` events of `bytes` bytes.
fn narrow(events: u64, bytes: u64) -> Desk {
    let limits = Limits { queue_events_max: events, queue_bytes_max: bytes, ..Limits::default() };
    Desk::with(limits, 0)
}

fn subscriber(desk: &mut Desk) -> Open {
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    open
}

fn put(desk: &mut Desk, open: Open, list: &[(u8, &str)]) {
    for (priority, pattern) in list {
        desk.publish(open, Draft { priority: *priority, pattern, ..Draft::default() });
    }
}

/// Gives the windows room and reads everything: the first patterns in order.
fn patterns(desk: &mut Desk, open: Open) -> Vec<String> {
    desk.inboxes.capacity = 100;
    desk.heard(open.process).into_iter().map(|(_, pattern)| pattern).collect()
}

#[test]
fn a_queue_at_its_bound_loses_nothing_and_one_more_is_dropped_with_a_lost_event() {
    let mut desk = narrow(3, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(3, "1"), (3, "2"), (3, "3")]);
    assert_eq!(patterns(&mut desk, open), ["1", "2", "3"]);
    desk.inboxes.capacity = 0;
    put(&mut desk, open, &[(3, "1"), (3, "2"), (3, "3"), (3, "4")]);
    assert_eq!(patterns(&mut desk, open), ["LOST", "1", "2", "3"]);
}

#[test]
fn the_newest_of_the_lowest_priority_gives_way_to_a_higher_one() {
    let mut desk = narrow(4, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(2, "c1"), (3, "d1"), (3, "d2"), (2, "c2"), (1, "b1"), (0, "a1")]);
    assert_eq!(patterns(&mut desk, open), ["LOST", "a1", "b1", "c1", "c2"]);
}

#[test]
fn an_event_does_not_push_out_its_own_priority_or_a_higher_one() {
    let mut desk = narrow(2, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(1, "b1"), (2, "c1"), (2, "c2"), (3, "d1")]);
    assert_eq!(patterns(&mut desk, open), ["LOST", "b1", "c1"]);
}

#[test]
fn bytes_are_bounded_as_events_are() {
    // A packed event with a pattern of one byte has seven bytes besides its data.
    let mut desk = narrow(100, 30);
    let open = subscriber(&mut desk);
    let draft = |pattern, priority, data| Draft { pattern, priority, data, ..Draft::default() };
    desk.publish(open, draft("1", 3, "12345678"));
    desk.publish(open, draft("2", 3, "12345678"));
    assert_eq!(patterns(&mut desk, open), ["1", "2"]);
    desk.inboxes.capacity = 0;
    desk.publish(open, draft("1", 3, "12345678"));
    desk.publish(open, draft("2", 3, "123456789"));
    assert_eq!(patterns(&mut desk, open), ["LOST", "1"]);
}

#[test]
fn an_event_that_cannot_be_made_to_fit_pushes_nothing_out() {
    let mut desk = narrow(100, 30);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(0, "a"), (3, "d")]);
    let data = "12345678901234567";
    desk.publish(open, Draft { pattern: "b", priority: 1, data, ..Draft::default() });
    assert_eq!(patterns(&mut desk, open), ["a", "LOST", "d"]);
}

#[test]
fn several_small_events_give_way_to_one_large_one() {
    let mut desk = narrow(100, 30);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(3, "1"), (3, "2"), (3, "3"), (3, "4")]);
    let data = "1234567890123456";
    desk.publish(open, Draft { pattern: "a", priority: 0, data, ..Draft::default() });
    assert_eq!(patterns(&mut desk, open), ["LOST", "a", "1"]);
}

#[test]
fn the_lost_event_comes_behind_urgent_events_that_wait_and_before_later_ones() {
    let mut desk = narrow(3, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(0, "a1"), (3, "d1"), (3, "d2"), (0, "a2"), (0, "a3"), (0, "a4")]);
    assert_eq!(patterns(&mut desk, open), ["a1", "LOST", "a2", "a3"]);
}

#[test]
fn the_lost_event_is_for_the_instance_that_lost() {
    let mut desk = narrow(1, 1 << 20);
    let process = desk.process();
    let (one, two) = (desk.open(process, CHANNEL), desk.open(process, "safChnl=b"));
    desk.subscribe(one, 1, everything()).unwrap();
    desk.subscribe(two, 1, everything()).unwrap();
    put(&mut desk, one, &[(3, "pushed out")]);
    put(&mut desk, two, &[(0, "urgent")]);
    desk.inboxes.capacity = 9;
    let read = desk.read(process);
    let lost: Vec<_> = read.iter().filter(|(_, event)| event.is_none()).collect();
    assert_eq!(lost, [&(one.number, None)]);
    assert_eq!(read.len(), 2);
    let counts = desk.channels(|channel| (*channel.name == name(CHANNEL), channel.lost_events));
    assert_eq!(counts, [(true, 1), (false, 0)]);
}

#[test]
fn one_lost_event_covers_all_losses_until_it_is_taken() {
    let mut desk = narrow(1, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(3, "1"), (3, "2"), (3, "3")]);
    desk.inboxes.capacity = 1;
    desk.drain(open.process);
    // It is in the window now, and not taken yet.
    put(&mut desk, open, &[(3, "4"), (3, "5"), (3, "6")]);
    assert_eq!(desk.take(open.process), Some(Record { instance: open.number, event: None }));
    put(&mut desk, open, &[(3, "7")]);
    assert_eq!(patterns(&mut desk, open), ["LOST", "1", "4"]);
}

#[test]
fn the_lost_event_takes_no_room_and_is_never_pushed_out() {
    let mut desk = narrow(1, 1 << 20);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(0, "a1"), (0, "a2"), (0, "a3")]);
    assert_eq!(desk.node.statistics(&mut |_| {}).queued_events, 1);
    assert_eq!(patterns(&mut desk, open), ["a1", "LOST"]);
    let mut lost = Vec::new();
    desk.node.processes_page(0, 10, &mut |process| lost.push(process.lost_events));
    assert_eq!(lost.iter().sum::<u64>(), 1, "it is counted for its program");
    assert_eq!(desk.node.totals().lost_events, 1);
}

#[test]
fn the_lost_event_needs_no_matching_filter_but_a_subscription() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.node.mark_lost(process, open.number);
    assert_eq!(desk.heard(process), heard(&[]));
    desk.subscribe(open, 1, exact("nothing like it")).unwrap();
    assert_eq!(desk.heard(process), heard(&[(0, "LOST")]));
    desk.node.mark_lost(process, open.number);
    desk.node.mark_lost(process, open.number);
    assert_eq!(desk.heard(process), heard(&[(0, "LOST")]));
}

#[test]
fn the_lost_event_goes_with_the_last_subscription_only() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, exact("x")).unwrap();
    desk.subscribe(open, 2, exact("y")).unwrap();
    desk.node.mark_lost(process, open.number);
    desk.drain(process);
    desk.unsubscribe(open, 1).unwrap();
    assert!(desk.inboxes.backlog[&inbox(process)]);
    desk.unsubscribe(open, 2).unwrap();
    assert!(!desk.inboxes.backlog[&inbox(process)]);
    // The next loss is told again.
    desk.subscribe(open, 3, exact("x")).unwrap();
    desk.node.mark_lost(process, open.number);
    desk.inboxes.capacity = 9;
    assert_eq!(desk.heard(process), heard(&[(0, "LOST")]));
}

#[test]
fn a_loss_noticed_elsewhere_is_covered_by_a_lost_event_that_is_unread() {
    let mut desk = Desk::with(Limits::default(), 1);
    let open = subscriber(&mut desk);
    for _ in 0..3 {
        desk.node.mark_lost(open.process, open.number);
        desk.drain(open.process);
    }
    assert_eq!(desk.inboxes.backlog.get(&inbox(open.process)), None);
    assert_eq!(desk.heard(open.process), heard(&[(0, "LOST")]));
}

#[test]
fn the_lost_event_reaches_a_window_with_urgent_room_at_once() {
    let limits = Limits { queue_events_max: 1, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let open = subscriber(&mut desk);
    put(&mut desk, open, &[(3, "1"), (3, "2"), (3, "3")]);
    assert_eq!(desk.take(open.process), Some(Record { instance: open.number, event: None }));
}
