//! Rights that are withheld from open instances and given back.

use super::*;

impl Desk {
    fn permit(&mut self, open: Open, permitted: OpenFlags) -> bool {
        let (now, inboxes) = (self.now, &mut self.inboxes);
        self.node.set_rights(open.process, open.number, permitted, now, inboxes)
    }
}

/// A publisher and a subscriber of one channel, the latter with subscription 1 for everything.
fn two(desk: &mut Desk) -> (Open, Open) {
    let (one, other) = (desk.process(), desk.process());
    let (publisher, subscriber) = (desk.open(one, CHANNEL), desk.open(other, CHANNEL));
    desk.subscribe(subscriber, 1, everything()).unwrap();
    (publisher, subscriber)
}

#[test]
fn a_publisher_whose_right_is_withheld_is_refused_also_on_a_known_way() {
    let mut desk = Desk::new();
    let (publisher, subscriber) = two(&mut desk);
    desk.say(publisher, "one");
    desk.say(publisher, "one");
    assert!(desk.permit(publisher, SUBSCRIBE));
    assert!(!desk.permit(publisher, SUBSCRIBE), "that is no change");
    let refused =
        desk.publish_without_credit(publisher, Draft { pattern: "one", ..Draft::default() });
    assert_eq!(refused.unwrap_err(), Fault::Withheld);
    assert_eq!(desk.heard(subscriber.process), heard(&[(1, "one"), (1, "one")]));
    assert_eq!(desk.channels(|channel| (channel.publishers, channel.publications)), [(1, 2)]);
    assert!(desk.permit(publisher, PUBLISH | SUBSCRIBE));
    desk.say(publisher, "one");
    assert_eq!(desk.heard(subscriber.process), heard(&[(1, "one")]));
    assert_eq!(desk.channels(|channel| channel.publishers), [2]);
}

#[test]
fn nothing_is_given_that_was_not_asked_for() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let reader = desk.try_open(process, CHANNEL, SUBSCRIBE).unwrap();
    assert!(!desk.permit(reader, PUBLISH | SUBSCRIBE));
    let refused = desk.publish_without_credit(reader, Draft::default());
    assert_eq!(refused.unwrap_err(), Fault::Malformed);
    assert!(desk.permit(reader, PUBLISH));
    assert!(desk.permit(reader, PUBLISH | SUBSCRIBE));
    assert_eq!(desk.node.rights(process, reader.number), Ok(SUBSCRIBE));
}

#[test]
fn a_subscriber_whose_right_is_withheld_gets_a_lost_event_and_nothing_more() {
    let mut desk = Desk::with(Limits::default(), 2);
    let (publisher, subscriber) = two(&mut desk);
    for pattern in ["1", "2", "3", "4"] {
        desk.say(publisher, pattern);
    }
    assert!(desk.permit(subscriber, PUBLISH));
    desk.say(publisher, "5");
    // What was in its memory already is its own; what waited in the node is not.
    assert_eq!(desk.heard(subscriber.process), heard(&[(0, "LOST"), (1, "1"), (1, "2")]));
    assert_eq!(desk.node.totals().queued_events, 0);
    assert_eq!(desk.subscribe(subscriber, 2, everything()), Err(Error::Access));
    desk.say(publisher, "6");
    let (now, inboxes) = (desk.now, &mut desk.inboxes);
    desk.node.lose_publication(publisher.process, publisher.number, None, now, inboxes);
    assert_eq!(desk.heard(subscriber.process), []);
}

#[test]
fn who_gets_the_right_back_gets_a_lost_event_and_what_is_retained() {
    let mut desk = Desk::new();
    let (publisher, subscriber) = two(&mut desk);
    desk.subscribe(subscriber, 2, exact("kept")).unwrap();
    assert!(desk.permit(subscriber, PUBLISH));
    desk.say(publisher, "missed");
    let kept = Draft { pattern: "kept", retention: Span(1000), ..Draft::default() };
    desk.publish(publisher, kept);
    assert_eq!(desk.heard(subscriber.process), heard(&[(0, "LOST")]));
    assert!(desk.permit(subscriber, PUBLISH | SUBSCRIBE));
    desk.say(publisher, "new");
    // The agent knows which of the copies it has had.
    let all = heard(&[(0, "LOST"), (1, "kept"), (2, "kept"), (1, "new")]);
    assert_eq!(desk.heard(subscriber.process), all);
}

#[test]
fn what_leaves_while_a_right_is_withheld_is_given_back() {
    let mut desk = Desk::new();
    let (publisher, subscriber) = two(&mut desk);
    desk.subscribe(subscriber, 2, exact("x")).unwrap();
    desk.subscribe(subscriber, 3, exact("y")).unwrap();
    assert!(desk.permit(subscriber, PUBLISH));
    assert_eq!(desk.unsubscribe(subscriber, 2), Ok(()));
    assert_eq!(desk.unsubscribe(subscriber, 2), Err(Error::NotExist));
    assert!(desk.permit(subscriber, PUBLISH | SUBSCRIBE));
    desk.unsubscribe(subscriber, 1).unwrap();
    desk.read(subscriber.process);
    for pattern in ["x", "y"] {
        desk.say(publisher, pattern);
    }
    assert_eq!(desk.heard(subscriber.process), heard(&[(3, "y")]));
    assert!(desk.permit(subscriber, OpenFlags::empty()));
    desk.close(subscriber);
    let totals = desk.node.totals();
    assert_eq!((totals.instances, totals.subscriptions, totals.filter_bytes), (1, 0, 0));
    assert_eq!(desk.channels(|channel| (channel.openers, channel.publishers)), [(1, 1)]);
    let (_, cost) =
        desk.publish_without_credit(publisher, Draft { pattern: "y", ..Draft::default() }).unwrap();
    // One is for the look itself.
    assert_eq!((cost.matches, cost.enqueues), (1, 0));
}

#[test]
fn an_event_on_its_way_to_very_many_passes_who_may_not_have_it_any_more() {
    let mut desk = Desk::new();
    let process = desk.process();
    let publisher = desk.open(process, CHANNEL);
    let others: Vec<_> = (0..4).map(|_| desk.process()).collect();
    let takers: Vec<_> = others.iter().map(|other| desk.open(*other, CHANNEL)).collect();
    for taker in &takers {
        desk.subscribe(*taker, 1, everything()).unwrap();
    }
    let attributes = pack(&["p"]);
    let id = desk.ids[0].1.next();
    let publication = publication(publisher, id, Draft::default(), &attributes);
    let (now, inboxes) = (desk.now, &mut desk.inboxes);
    let cost = desk.node.publish(process, &publication, 1, now, inboxes).unwrap();
    assert_eq!((cost.enqueues, cost.waits), (1, 3));
    assert!(desk.permit(takers[2], PUBLISH));
    let cost = desk.node.publish_on(Some(process), 9, desk.now, &mut desk.inboxes);
    assert_eq!((cost.enqueues, cost.waits), (2, 0));
    let got: Vec<_> = others.iter().map(|other| desk.heard(*other)).collect();
    let event = heard(&[(1, "p")]);
    assert_eq!(got, [event.clone(), event.clone(), heard(&[(0, "LOST")]), event]);
}

#[test]
fn what_a_restored_instance_brings_waits_until_it_may_subscribe() {
    let mut desk = Desk::new();
    let process = desk.process();
    let publisher = desk.open(process, CHANNEL);
    let incarnation = desk.channels(|channel| channel.incarnation)[0];
    let back = desk.process();
    let number = InstanceNo::new(77, 1);
    let flags = (PUBLISH | SUBSCRIBE).limited_to(PUBLISH);
    desk.node.restore_instance(back, LibraryNo(0), number, incarnation, flags).unwrap();
    let open = Open { process: back, number };
    assert_eq!(desk.subscribe(open, 1, everything()), Ok(()));
    desk.node.end_restore(back);
    assert_eq!(desk.subscribe(open, 2, everything()), Err(Error::Access));
    desk.say(publisher, "early");
    assert_eq!(desk.heard(back), []);
    assert!(desk.permit(open, PUBLISH | SUBSCRIBE));
    desk.say(publisher, "late");
    assert_eq!(desk.heard(back), heard(&[(0, "LOST"), (1, "late")]));
}
