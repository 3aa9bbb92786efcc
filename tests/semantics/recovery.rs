//! A node that starts again: nothing retained is lost, and what was missed is told.

use super::*;
use SaEvt::evt::Incarnation;
use SaEvt::evt::node::{Credit, EventRecord, Fact, IdBlock};

/// The next start of a desk's node, with its facts adopted. The programs have to come back.
fn restart(desk: &Desk) -> Desk {
    let mut next = Desk::with(desk.node.limits().clone(), 100);
    let genesis = Genesis { member: 1, start: 3, hash_seed: 9 };
    next.node = Node::new(desk.node.limits().clone(), genesis);
    next.now = desk.now;
    desk.node.facts(&mut |fact| match fact {
        Fact::Channel { incarnation, name, linked } => {
            next.node.adopt_channel(incarnation, name, linked);
        }
        Fact::Moved { incarnation, user, private } => {
            next.node.adopt_moved(incarnation, user, private);
        }
        Fact::Retained { incarnation, record, deadline } => {
            next.node.adopt_retained(incarnation, (**record).clone(), deadline);
        }
    });
    next
}

fn restore(desk: &mut Desk, incarnation: Incarnation) -> Result<Open, Error> {
    let process = desk.process();
    restore_into(desk, process, incarnation)
}

fn restore_into(
    desk: &mut Desk,
    process: ProcessKey,
    incarnation: Incarnation,
) -> Result<Open, Error> {
    desk.opened += 1;
    let number = InstanceNo::new(desk.opened, 1);
    let flags = PUBLISH | SUBSCRIBE;
    desk.node.restore_instance(process, LibraryNo(0), number, incarnation, flags)?;
    Ok(Open { process, number })
}

fn incarnation(desk: &Desk) -> Incarnation {
    desk.channels(|channel| channel.incarnation)[0]
}

#[test]
fn channels_and_retained_events_come_through_a_restart() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let other = desk.open(process, "safChnl=b");
    let draft = Draft { retention: Span(100), ..Draft::default() };
    let ids = [
        desk.publish(open, Draft { priority: 3, ..draft }),
        desk.publish(other, draft),
        desk.publish(open, Draft { priority: 0, ..draft }),
        desk.publish(open, Draft { priority: 3, ..draft }),
    ];
    let mut retained = Vec::new();
    desk.node.facts(&mut |fact| {
        if let Fact::Retained { record, .. } = fact {
            retained.push(record.id);
        }
    });
    assert_eq!(retained, ids);
    desk.now = Time(60);
    let mut next = restart(&desk);
    assert_eq!(next.changes(), []);
    assert_eq!(next.node.next_deadline(), Some(Time(100)));
    let process = next.process();
    let open = next.try_open(process, CHANNEL, SUBSCRIBE).unwrap();
    next.subscribe(open, 1, everything()).unwrap();
    let read = next.read(process);
    let left: Vec<_> = read.iter().map(|(_, event)| event.as_ref().unwrap().left).collect();
    assert_eq!(left, [Span(40); 3]);
    let order: Vec<_> = read.into_iter().map(|(_, event)| event.unwrap().id).collect();
    assert_eq!(order, [ids[2], ids[0], ids[3]]);
}

#[test]
fn new_incarnations_and_ids_differ_from_those_of_earlier_starts() {
    let mut desk = Desk::new();
    let process = desk.process();
    let old = desk.node.grant_ids(process).unwrap();
    desk.open(process, CHANNEL);
    let before = incarnation(&desk);
    let mut next = restart(&desk);
    let process = next.process();
    assert!(next.node.grant_ids(process).unwrap().first > old.first);
    next.unlink(CHANNEL).unwrap();
    next.open(process, CHANNEL);
    assert!(next.channels(|channel| channel.incarnation).iter().all(|each| *each != before));
}

#[test]
fn an_unlinked_channel_waits_for_its_instances_until_the_grace_time_ends() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    desk.unlink(CHANNEL).unwrap();
    let known = incarnation(&desk);

    let mut deserted = restart(&desk);
    deserted.node.begin_grace(false);
    assert_eq!(deserted.channels(|channel| channel.linked), [false]);
    deserted.node.end_grace();
    assert_eq!(deserted.channels(|channel| channel.linked), []);
    assert_eq!(deserted.changes(), [Change::ChannelDeleted { incarnation: known }]);

    let mut next = restart(&desk);
    next.node.begin_grace(false);
    let first = restore(&mut next, known).unwrap();
    next.close(first);
    let second = restore(&mut next, known).unwrap();
    next.node.end_grace();
    assert_eq!(next.channels(|channel| channel.openers), [1]);
    next.close(second);
    assert_eq!(next.channels(|channel| channel.openers), []);
}

#[test]
fn a_channel_unlinked_in_the_grace_time_waits_as_well() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let known = incarnation(&desk);
    let mut next = restart(&desk);
    next.node.begin_grace(false);
    next.unlink(CHANNEL).unwrap();
    assert_eq!(next.changes(), [Change::ChannelUnlinked { incarnation: known }]);
    assert!(restore(&mut next, known).is_ok());
    // One that was made since cannot have instances that come back.
    let process = next.process();
    let young = next.open(process, CHANNEL);
    next.close(young);
    next.unlink(CHANNEL).unwrap();
    assert_eq!(next.channels(|channel| channel.incarnation), [known]);
}

#[test]
fn an_instance_comes_back_to_a_known_incarnation_only() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    assert_eq!(restore(&mut desk, Incarnation(5)), Err(Error::NotExist));
    let known = incarnation(&desk);
    let flags = PUBLISH | SUBSCRIBE;
    let library = LibraryNo(0);
    let answer = desk.node.restore_instance(process, library, open.number, known, flags);
    assert_eq!(answer, Err(Error::InvalidParam));
    let number = InstanceNo::new(70_000, 0);
    let answer = desk.node.restore_instance(process, library, number, known, flags);
    assert_eq!(answer, Err(Error::NoResources));
    let library = LibraryNo(4);
    let answer = desk.node.restore_instance(process, library, open.number, known, flags);
    assert_eq!(answer, Err(Error::BadHandle));
    desk.close(open);
    desk.unlink(CHANNEL).unwrap();
    assert_eq!(restore(&mut desk, known), Err(Error::NotExist));
}

#[test]
fn what_is_adopted_twice_or_for_an_unknown_channel_is_ignored() {
    let mut desk = Desk::new();
    let channel = Incarnation(7);
    let record = |id| EventRecord {
        id: EventId(id),
        publish_time: 0,
        retention: Span(10),
        priority: Priority::HIGHEST,
        attributes: pack(&["x"]).packed().to_vec(),
        data: Vec::new(),
    };
    desk.node.adopt_channel(channel, &name(CHANNEL), true);
    desk.node.adopt_channel(channel, &name("safChnl=b"), true);
    desk.node.adopt_channel(Incarnation(8), &name(CHANNEL), true);
    desk.node.adopt_channel(Incarnation(9), &Name::EMPTY, true);
    let known = desk.channels(|channel| (*channel.name, channel.linked));
    assert_eq!(known, [(name(CHANNEL), true), (name(CHANNEL), false)]);
    desk.node.adopt_retained(channel, record(2000), Time(10));
    desk.node.adopt_retained(channel, record(2000), Time(20));
    desk.node.adopt_retained(Incarnation(10), record(2001), Time(10));
    let garbage = EventRecord { attributes: vec![1], ..record(2002) };
    desk.node.adopt_retained(channel, garbage, Time(10));
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 1);
    assert_eq!(desk.node.next_deadline(), Some(Time(10)));
}

#[test]
fn adopted_events_are_not_bounded_but_leave_no_room_for_credit() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    for _ in 0..3 {
        desk.publish(open, Draft { retention: Span(10), ..Draft::default() });
    }
    let mut next = restart(&desk);
    let limits = Limits { retained_events_max: 2, ..Limits::default() };
    next.node = Node::new(limits, Genesis { member: 1, start: 4, hash_seed: 0 });
    desk.node.facts(&mut |fact| match fact {
        Fact::Channel { incarnation, name, linked } => {
            next.node.adopt_channel(incarnation, name, linked);
        }
        Fact::Moved { .. } => unreachable!("nothing has moved here"),
        Fact::Retained { incarnation, record, deadline } => {
            next.node.adopt_retained(incarnation, (**record).clone(), deadline);
        }
    });
    let process = next.process();
    assert_eq!(next.node.grant_credit(process, 5, 100).events, 0);
    next.node.expire(Time(10));
    assert_eq!(next.node.grant_credit(process, 5, 100).events, 2);
}

#[test]
fn after_a_clean_stop_a_restored_instance_has_lost_nothing() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let mut next = restart(&desk);
    next.node.begin_grace(false);
    let back = restore(&mut next, incarnation(&desk)).unwrap();
    next.subscribe(back, 1, everything()).unwrap();
    next.say(back, "x");
    assert_eq!(next.heard(back.process), heard(&[(1, "x")]));
}

#[test]
fn after_an_unclean_stop_every_restored_instance_may_have_lost_something() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let mut next = restart(&desk);
    next.node.begin_grace(true);
    let back = restore(&mut next, incarnation(&desk)).unwrap();
    assert_eq!(next.heard(back.process), heard(&[]));
    next.subscribe(back, 1, exact("x")).unwrap();
    next.subscribe(back, 2, exact("y")).unwrap();
    assert_eq!(next.heard(back.process), heard(&[(0, "LOST")]));
    let new = next.open(back.process, CHANNEL);
    next.subscribe(new, 1, everything()).unwrap();
    assert_eq!(next.heard(back.process), heard(&[]));
}

#[test]
fn a_publication_before_an_instance_or_its_subscription_is_back_counts_as_lost() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let known = incarnation(&desk);
    let mut next = restart(&desk);
    next.node.begin_grace(false);
    let early = restore(&mut next, known).unwrap();
    next.say(early, "x");
    next.subscribe(early, 1, everything()).unwrap();
    assert_eq!(next.heard(early.process), heard(&[(0, "LOST")]));
    next.subscribe(early, 2, everything()).unwrap();
    assert_eq!(next.heard(early.process), heard(&[]));
    let late = restore(&mut next, known).unwrap();
    next.subscribe(late, 1, everything()).unwrap();
    assert_eq!(next.heard(late.process), heard(&[(0, "LOST")]));
    next.node.end_grace();
    next.say(late, "y");
    next.subscribe(late, 2, everything()).unwrap();
    assert_eq!(next.heard(late.process), heard(&[(1, "y")]));
}

#[test]
fn a_record_taken_before_the_crash_is_not_delivered_again_but_told_as_lost() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let block = desk.node.grant_ids(process).unwrap();
    let known = incarnation(&desk);
    let draft = Draft { pattern: "x", retention: Span(50), ..Draft::default() };
    let stored = desk.publish(open, draft);

    let mut next = restart(&desk);
    next.node.begin_grace(false);
    let publisher = restore(&mut next, known).unwrap();
    let process = publisher.process;
    let old = IdBlock { first: EventId(stored.0 - stored.0 % 65_536), count: IdBlock::COUNT };
    next.node.adopt_ids(process, old);
    next.node.adopt_ids(process, block);
    let matching = restore(&mut next, known).unwrap();
    next.subscribe(matching, 1, exact("x")).unwrap();
    let other = restore(&mut next, known).unwrap();
    next.subscribe(other, 1, exact("y")).unwrap();
    assert_eq!(next.ids(matching.process), [stored]);

    let attributes = pack(&["x"]);
    let fresh = block.first;
    for id in [stored, fresh, fresh] {
        let again = publication(publisher, id, draft, &attributes);
        let answer = next.node.publish_again(process, &again, 1, next.now, &mut next.inboxes);
        assert_eq!(answer.unwrap().enqueues, 1);
    }
    // What is retained only now, nobody can have had. Later it would come out of order.
    assert_eq!(next.ids(matching.process), [EventId::LOST, fresh]);
    assert_eq!(next.ids(other.process), []);
    assert_eq!(next.node.statistics(&mut |_| {}).retained_events, 2);
    // Whoever comes back later may have missed it too, and is offered what is retained.
    let late = restore(&mut next, known).unwrap();
    next.subscribe(late, 1, everything()).unwrap();
    assert_eq!(next.ids(late.process), [EventId::LOST, stored, fresh]);
}

#[test]
fn a_record_of_before_the_crash_waits_for_its_place_in_total_order() {
    let mut desk = Desk::new();
    let process = desk.process();
    let block = desk.node.grant_ids(process).unwrap();
    let open = desk.open(process, CHANNEL);
    let known = incarnation(&desk);
    desk.subscribe(open, 1, everything()).unwrap();
    desk.node.join_cluster();
    desk.node.set_ordered(known, true);
    let draft = Draft { retention: Span(50), ..Draft::default() };
    let attributes = pack(&["x"]);
    let again = publication(open, block.first, draft, &attributes);
    let cost = desk.node.publish_again(process, &again, 1, desk.now, &mut desk.inboxes).unwrap();
    assert_eq!((cost.enqueues, cost.waits), (0, 0));
    assert_eq!(desk.ids(process), []);
    assert!(desk.node.retained(known, block.first).is_none());
    // It takes its room already.
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 1);

    let mut outward = Vec::new();
    desk.node.take_outward(&mut outward);
    let [one] = &outward[..] else { panic!("one event goes to the others: {outward:?}") };
    let record = one.record.as_ref().unwrap();
    let (times, user) = ((one.deadline, desk.now), Some(one.user));
    desk.node.deliver_own(known, record, times, user, &mut desk.inboxes);
    desk.node.discharge(one.user, record);
    assert_eq!(desk.ids(process), [block.first]);
    assert!(desk.node.retained(known, block.first).is_some());
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 1);
}

#[test]
fn a_repeated_record_is_judged_and_bounded_like_any_other() {
    let limits = Limits { retained_events_max: 1, ..Limits::default() };
    let mut desk = Desk::with(limits, 10);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let draft = Draft { retention: Span(50), ..Draft::default() };
    let attributes = pack(&[""]);
    let block = desk.node.grant_ids(process).unwrap();
    let again = |desk: &mut Desk, offset: u64| {
        let id = EventId(block.first.0 + offset);
        let publication = publication(open, id, draft, &attributes);
        let answer = desk.node.publish_again(process, &publication, 1, desk.now, &mut desk.inboxes);
        (answer.is_ok(), desk.node.statistics(&mut |_| {}).retained_events)
    };
    assert_eq!(again(&mut desk, 0), (true, 1));
    assert_eq!(again(&mut desk, 1), (true, 1));
    assert_eq!(again(&mut desk, 65_536), (false, 1));
}

#[test]
fn ids_of_an_earlier_start_are_good_for_the_process_that_claims_them_first() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let known = incarnation(&desk);
    let block = desk.node.grant_ids(process).unwrap();
    let mut next = restart(&desk);
    let (one, two) = (restore(&mut next, known).unwrap(), restore(&mut next, known).unwrap());
    let attributes = pack(&[]);
    let publish = |next: &mut Desk, open: Open| {
        let publication = publication(open, block.first, Draft::default(), &attributes);
        next.node.publish(open.process, &publication, u32::MAX, next.now, &mut next.inboxes).is_ok()
    };
    assert!(!publish(&mut next, one));
    next.node.adopt_ids(one.process, block);
    next.node.adopt_ids(two.process, block);
    assert!(publish(&mut next, one));
    assert!(!publish(&mut next, two));
    next.disconnect(one.process);
    next.node.adopt_ids(two.process, block);
    assert!(publish(&mut next, two));
}

#[test]
fn what_cannot_be_taken_is_told_to_its_channel_and_gives_its_credit_back() {
    let mut desk = Desk::new();
    let process = desk.process();
    let publisher = desk.open(process, CHANNEL);
    let open = desk.open(process, CHANNEL);
    let other = desk.open(process, "safChnl=b");
    for instance in [open, other] {
        desk.subscribe(instance, 1, everything()).unwrap();
    }
    desk.node.grant_credit(process, 2, 128);
    let spent = Some(Credit { events: 1, bytes: 64 });
    for spent in [spent, None] {
        let Desk { node, inboxes, now, .. } = &mut desk;
        node.lose_publication(process, publisher.number, spent, *now, inboxes);
    }
    assert_eq!(desk.read(process), [(open.number, None)], "one for both, and nobody else");
    let totals = desk.node.statistics(&mut |_| {});
    assert_eq!((totals.credit_events, totals.credit_bytes), (1, 64));
}
