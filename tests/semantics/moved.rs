//! The private service of a user moves here.

use super::*;
use SaEvt::evt::Incarnation;
use SaEvt::evt::node::{EventRecord, Fact, IdBlock};

const USER: u32 = 1000;
/// What the private service called its channel.
const PRIVATE: Incarnation = Incarnation(77);

fn mover(desk: &mut Desk) -> ProcessKey {
    desk.node.connect(identity(USER)).unwrap()
}

/// A retained event as the private service of the user kept it.
fn record(number: u64, data: &str) -> EventRecord {
    EventRecord {
        id: EventId(EventId::first_of(EventId::private_member(USER), 9).0 + number),
        publish_time: 5,
        retention: Span(100),
        priority: Priority::LOWEST,
        attributes: pack(&["x"]).packed().to_vec(),
        data: data.into(),
    }
}

fn bring(desk: &mut Desk, process: ProcessKey, record: EventRecord) -> Result<(), Error> {
    desk.node.reserve_moved(process, &record)?;
    desk.node.release_moved(USER, &record);
    let moved = desk.node.move_retained(process, PRIVATE, record, Time(60));
    desk.node.end_move(desk.now, &mut desk.inboxes);
    moved
}

/// A program of the user comes back from the private service.
fn come(desk: &mut Desk, user: u32, private: Incarnation) -> Result<(Open, Incarnation), Error> {
    let process = desk.node.connect(identity(user)).unwrap();
    desk.node.library_open(process, LibraryNo(0)).unwrap();
    let number = InstanceNo::new(1, 1);
    let flags = PUBLISH | SUBSCRIBE;
    let known = desk.node.restore_instance(process, LibraryNo(0), number, private, flags)?;
    Ok((Open { process, number }, known))
}

#[test]
fn what_has_moved_is_there_for_all_and_its_programs_come_with_a_lost_event() {
    let mut desk = Desk::new();
    let there = desk.process();
    let listener = desk.open(there, CHANNEL);
    desk.subscribe(listener, 1, everything()).unwrap();
    let process = mover(&mut desk);
    desk.now = Time(10);
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), true).unwrap();
    let kept = record(0, "kept");
    bring(&mut desk, process, kept.clone()).unwrap();
    // Whoever subscribes already gets it now, with its id and the time that it has left.
    let heard = desk.read(there);
    let event = heard[0].1.as_ref().unwrap();
    assert_eq!((heard.len(), event.id, event.left), (1, kept.id, Span(50)));
    // Once more, as after a move that was broken off: nothing changes and nobody gets it again.
    desk.changes();
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), true).unwrap();
    bring(&mut desk, process, kept.clone()).unwrap();
    assert_eq!((desk.changes(), desk.ids(there)), (vec![], vec![]));
    assert_eq!(bring(&mut desk, process, record(0, "other")), Err(Error::Exist));
    let (open, known) = come(&mut desk, USER, PRIVATE).unwrap();
    assert_eq!(known, desk.channels(|channel| channel.incarnation)[0]);
    desk.subscribe(open, 1, everything()).unwrap();
    assert_eq!(desk.ids(open.process), [EventId::LOST, kept.id]);
    // By its new number it comes back like any other.
    let (again, _) = come(&mut desk, USER, known).unwrap();
    desk.subscribe(again, 1, everything()).unwrap();
    assert_eq!(desk.ids(again.process), [kept.id]);
    assert_eq!(come(&mut desk, USER + 1, PRIVATE), Err(Error::NotExist), "of another user");
    assert_eq!(desk.node.retention_clear(open.process, open.number, kept.id), Ok(()));
}

#[test]
fn an_unlinked_channel_moves_without_its_name_and_waits_for_its_instances() {
    let mut desk = Desk::new();
    let there = desk.process();
    desk.open(there, CHANNEL);
    let process = mover(&mut desk);
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), false).unwrap();
    let (open, known) = come(&mut desk, USER, PRIVATE).unwrap();
    let linked = desk.channels(|channel| (channel.incarnation != known, channel.linked));
    assert_eq!(linked, [(true, true), (false, false)], "not the one that has the name here");
    desk.node.end_grace();
    assert_eq!(desk.channels(|_| ()).len(), 2);
    desk.disconnect(open.process);
    assert_eq!(desk.channels(|channel| channel.linked), [true]);
    assert_eq!(come(&mut desk, USER, PRIVATE), Err(Error::NotExist));
    // One to which nobody comes ends with the grace time.
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), false).unwrap();
    assert_eq!(desk.channels(|_| ()).len(), 2);
    desk.node.end_grace();
    assert_eq!(desk.channels(|channel| channel.linked), [true]);
}

#[test]
fn what_moves_here_is_judged_and_bounded() {
    let limits = Limits {
        channels_max: 1,
        event_bytes_max: 10,
        retained_events_per_user_max: 2,
        ..Limits::default()
    };
    let mut desk = Desk::with(limits, 10);
    let process = mover(&mut desk);
    let second = name("safChnl=b");
    assert_eq!(bring(&mut desk, process, record(0, "")), Err(Error::NotExist));
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), true).unwrap();
    let other = desk.node.move_channel(process, Incarnation(78), &second, true);
    assert_eq!(other, Err(Error::NoResources));
    assert_eq!(
        desk.node.move_channel(process, PRIVATE, &Name::EMPTY, true),
        Err(Error::InvalidParam)
    );
    for (wrong, error) in [
        (EventRecord { retention: Span::ZERO, ..record(0, "") }, Error::InvalidParam),
        (EventRecord { attributes: vec![1], ..record(0, "") }, Error::InvalidParam),
        (record(0, "eleven bytes"), Error::TooBig),
        // Of this node, of another host, of another user.
        (EventRecord { id: EventId::first_of(1, 2), ..record(0, "") }, Error::InvalidParam),
        (EventRecord { id: EventId::first_of(3, 2), ..record(0, "") }, Error::InvalidParam),
        (
            EventRecord {
                id: EventId::first_of(EventId::private_member(USER + 1), 9),
                ..record(0, "")
            },
            Error::InvalidParam,
        ),
    ] {
        assert_eq!(bring(&mut desk, process, wrong), Err(error));
    }
    // What waits counts like what is retained, and credit cannot be spent beside it.
    desk.node.reserve_moved(process, &record(0, "")).unwrap();
    assert_eq!(desk.node.grant_credit(process, 5, 100).events, 1);
    assert_eq!(desk.node.reserve_moved(process, &record(1, "")), Err(Error::NoResources));
    desk.node.return_credit(process, SaEvt::evt::node::Credit { events: 1, bytes: 100 });
    desk.node.release_moved(USER, &record(0, ""));
    bring(&mut desk, process, record(0, "")).unwrap();
    bring(&mut desk, process, record(1, "")).unwrap();
    assert_eq!(bring(&mut desk, process, record(2, "")), Err(Error::NoResources));
    desk.node.expire(Time(60));
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 0);
    bring(&mut desk, process, record(2, "")).unwrap();
}

#[test]
fn a_channel_remembers_the_newest_private_numbers_through_a_restart() {
    let mut desk = Desk::new();
    let process = mover(&mut desk);
    for number in 0..9 {
        desk.node.move_channel(process, Incarnation(number), &name(CHANNEL), true).unwrap();
    }
    let mut next = Desk::new();
    desk.node.facts(&mut |fact| match fact {
        Fact::Channel { incarnation, name, linked } => {
            next.node.adopt_channel(incarnation, name, linked);
        }
        Fact::Moved { incarnation, user, private } => {
            next.node.adopt_moved(incarnation, user, private);
        }
        Fact::Retained { .. } => unreachable!("nothing is retained"),
    });
    for known in [&mut desk, &mut next] {
        assert_eq!(come(known, USER, Incarnation(0)), Err(Error::NotExist));
        assert!((1..9).all(|number| come(known, USER, Incarnation(number)).is_ok()));
    }
}

#[test]
fn records_with_ids_of_the_private_service_are_published_here() {
    let mut desk = Desk::new();
    let process = mover(&mut desk);
    desk.node.move_channel(process, PRIVATE, &name(CHANNEL), true).unwrap();
    let (open, _) = come(&mut desk, USER, PRIVATE).unwrap();
    let first = EventId::first_of(EventId::private_member(USER), 9);
    let attributes = pack(&[]);
    let publication = publication(open, first, Draft::default(), &attributes);
    let publish = |desk: &mut Desk| {
        desk.node.publish(open.process, &publication, u32::MAX, desk.now, &mut desk.inboxes).is_ok()
    };
    assert!(!publish(&mut desk));
    desk.node.adopt_ids(open.process, IdBlock { first, count: IdBlock::COUNT });
    assert!(publish(&mut desk));
}

#[test]
fn what_moves_here_meets_what_is_on_its_way_and_everybody_gets_both_once() {
    let mut desk = Desk::new();
    let opens: Vec<_> = (0..3)
        .map(|_| {
            let process = desk.process();
            desk.open(process, CHANNEL)
        })
        .collect();
    for open in &opens {
        desk.subscribe(*open, 1, everything()).unwrap();
    }
    let mover = mover(&mut desk);
    desk.node.move_channel(mover, PRIVATE, &name(CHANNEL), true).unwrap();
    let ids = desk.ids.iter_mut().find(|(process, _)| *process == opens[0].process).unwrap();
    let id = ids.1.next();
    let attributes = pack(&["x"]);
    let draft = Draft { retention: Span(1000), ..Draft::default() };
    let split = publication(opens[0], id, draft, &attributes);
    let (process, now) = (opens[0].process, desk.now);
    desk.node.grant_credit(process, 1, 1 << 20);
    assert_eq!(desk.node.publish(process, &split, 1, now, &mut desk.inboxes).unwrap().waits, 2);
    desk.node.take_work();
    let kept = record(0, "kept");
    desk.node.move_retained(mover, PRIVATE, kept.clone(), Time(60)).unwrap();
    assert!(desk.node.take_work() >= 3, "the subscriptions were compared");
    desk.node.end_move(now, &mut desk.inboxes);
    assert!(desk.node.take_work() >= 6, "the event was looked up and given to each");
    // Of those who come meanwhile, from there or not, each gets both as retained events.
    let (come, _) = come(&mut desk, USER, PRIVATE).unwrap();
    desk.subscribe(come, 1, everything()).unwrap();
    assert_eq!(desk.ids(come.process), [EventId::LOST, id, kept.id]);
    assert_eq!(desk.node.publish_on(Some(process), 9, now, &mut desk.inboxes).waits, 0);
    assert_eq!(desk.ids(come.process), []);
    for open in &opens {
        let mut ids = desk.ids(open.process);
        ids.sort_unstable();
        assert_eq!(ids, [id, kept.id]);
    }
}
