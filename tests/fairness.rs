//! What one program costs the others: judged by the order of what happens, never by time.
//!
//! The daemon is stopped while several programs make work for it, so that it finds the work of all
//! of them when it goes on.

mod wild;

use SaEvt::evt::{Attributes, EventId, InstanceNo, Name, OpenFlags, Priority, SubscriptionNo};
use SaEvt::sys::{descriptor, socket};
use SaEvt::wire::{Body, Request};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use wild::{Client, Daemon, Handle, LIBRARY, Witness, all, answer, instance, subscription_to_all};

/// Open instances that take one event: more than one turn serves, and so few that the copies of
/// two events never overflow window and queue of a library handle, however slowly it reads.
const TAKERS: u32 = 6000;
/// Takers of one turn: `TURN_COST` of the daemon.
const BATCH: usize = 4096;

/// A publisher, and one who has its channel open [`TAKERS`] times.
struct Crowd {
    publisher: Client,
    taker: Client,
    handle: Handle,
}

impl Crowd {
    fn gather(daemon: &Daemon) -> Self {
        let publisher = Client::connect(daemon);
        let _handle = publisher.library(LIBRARY);
        publisher.open(LIBRARY, instance(), "crowded", all());
        let taker = Client::connect(daemon);
        let handle = taker.library(LIBRARY);
        for slot in 0..TAKERS {
            let number = InstanceNo::new(slot, 1);
            taker.open(LIBRARY, number, "crowded", all());
            taker.subscribe_to_all(number);
        }
        Self { publisher, taker, handle }
    }
}

/// A program with a channel of its own, of which the taker hears.
fn other(daemon: &Daemon, crowd: &Crowd) -> Client {
    let other = Client::connect(daemon);
    let _handle = other.library(LIBRARY);
    other.open(LIBRARY, instance(), "other", all());
    let listener = InstanceNo::new(TAKERS, 1);
    crowd.taker.open(LIBRARY, listener, "other", all());
    crowd.taker.subscribe_to_all(listener);
    other
}

fn publish(client: &mut Client) -> EventId {
    let header = client.header(instance(), 0);
    assert!(client.publish(&header, Attributes::empty().unwrap().packed(), &[]));
    EventId(header.id)
}

#[test]
fn an_event_for_very_many_delays_nobody_by_more_than_a_batch() {
    let daemon = Daemon::start("crowd");
    let mut crowd = Crowd::gather(&daemon);
    let mut other = other(&daemon, &crowd);
    daemon.stop();
    let large = publish(&mut crowd.publisher);
    let next = publish(&mut crowd.publisher);
    let small = publish(&mut other);
    daemon.go_on();
    let number = 2 * TAKERS as usize + 1;
    let seen: Vec<_> = (0..number).map(|_| crowd.handle.receive(&crowd.taker).0).collect();
    let place = seen.iter().position(|id| *id == small).unwrap();
    assert!(place <= BATCH, "{place} came before it");
    // What the same program published later waited for the end of the first.
    let mut of_crowd = seen.iter().filter(|id| **id != small);
    assert!(of_crowd.by_ref().take(TAKERS as usize).all(|id| *id == large));
    assert!(of_crowd.all(|id| *id == next));
}

#[test]
fn an_orderly_end_finishes_what_has_takers_left() {
    let mut daemon = Daemon::start("crowd-end");
    let mut crowd = Crowd::gather(&daemon);
    daemon.stop();
    // More than it does before it looks whether it is to end.
    let first = publish(&mut crowd.publisher);
    for _ in 1..20 {
        publish(&mut crowd.publisher);
    }
    daemon.terminate();
    daemon.go_on();
    daemon.wait_for_end();
    for place in 0..TAKERS {
        assert_eq!(crowd.handle.take().map(|(id, _)| id), Some(first), "at {place}");
    }
    let (reserved, taken, done) = crowd.publisher.outbox.ring(Priority::HIGHEST).positions();
    assert_eq!((taken, done), (reserved, reserved), "a successor has nothing to repeat");
}

#[test]
fn a_subscribe_waits_for_what_others_have_published_and_nobody_waits_for_it() {
    let daemon = Daemon::start("subscribe");
    let mut crowd = Crowd::gather(&daemon);
    let mut other = other(&daemon, &crowd);
    let late = Client::connect(&daemon);
    let mut handle = late.library(LIBRARY);
    late.open(LIBRARY, instance(), "crowded", all());
    daemon.stop();
    publish(&mut crowd.publisher);
    publish(&mut crowd.publisher);
    late.send(subscription_to_all(instance()));
    let small = publish(&mut other);
    daemon.go_on();
    let number = 2 * TAKERS as usize + 1;
    let seen: Vec<_> = (0..number).map(|_| crowd.handle.receive(&crowd.taker).0).collect();
    let place = seen.iter().position(|id| *id == small).unwrap();
    assert!(place <= BATCH, "{place} came before it");
    assert_eq!(answer(late.control.as_fd()).0.code, Ok(()));
    let new = publish(&mut crowd.publisher);
    assert_eq!(handle.receive(&late).0, new, "what was published before comes to nobody new");
}

#[test]
fn what_is_reserved_and_never_committed_holds_up_no_request_of_others() {
    let daemon = Daemon::start("hole");
    let mut holder = Client::connect(&daemon);
    let _handle = holder.library(LIBRARY);
    holder.open(LIBRARY, instance(), "held", all());
    holder.outbox.ring(Priority::HIGHEST).reserve(64).unwrap();
    publish(&mut holder);
    let asker = Client::connect(&daemon);
    let _handle = asker.library(LIBRARY);
    asker.open(LIBRARY, instance(), "held", all());
    asker.subscribe_to_all(instance());
    let id = EventId(1);
    let clear = Body::RetentionClear { instance: instance(), id };
    assert_eq!(asker.ask(clear).code, Err(SaEvt::evt::Error::NotExist));
    let all_of_it = Body::Credit { events: u32::MAX, bytes: 64 };
    assert_eq!(asker.ask(all_of_it).code, Err(SaEvt::evt::Error::NoResources));
}

#[test]
fn requests_that_cost_much_leave_the_others_their_turns() {
    let daemon = Daemon::start("requests");
    let mut crowd = Crowd::gather(&daemon);
    let other = other(&daemon, &crowd);
    // More than the window holds: the rest is queued, and to unsubscribe goes through all of it.
    for _ in 0..11 {
        publish(&mut crowd.publisher);
    }
    crowd.publisher.send(Body::Credit { events: 1, bytes: 64 });
    assert_eq!(answer(crowd.publisher.control.as_fd()).0.code, Ok(()));
    let open = |flags| Body::Open {
        library: LIBRARY,
        instance: InstanceNo::new(2, 1),
        flags,
        names_are_dns: false,
        asynchronous: false,
        name: Name::new(b"other").unwrap(),
    };
    daemon.stop();
    for slot in 0..4 {
        let (instance, number) = (InstanceNo::new(slot, 1), SubscriptionNo(1));
        crowd.taker.send(Body::Unsubscribe { instance, number });
    }
    crowd.taker.send(Body::Unlink { name: Name::new(b"other").unwrap() });
    other.send(open(OpenFlags::SUBSCRIBER));
    daemon.go_on();
    let opened = answer(other.control.as_fd()).0.code;
    assert_eq!(opened, Ok(()), "four costly requests and an unlink came first");
    for _ in 0..5 {
        assert_eq!(answer(crowd.taker.control.as_fd()).0.code, Ok(()));
    }
}

/// Publishers of one channel with so many events each, which ring while the daemon is stopped.
/// Gives, for each event in the order in which one who hears of all gets it, whose it was.
fn order_of(name: &str, events: &[usize]) -> Vec<usize> {
    let daemon = Daemon::start(name);
    let taker = Client::connect(&daemon);
    let mut handle = taker.library(LIBRARY);
    taker.open(LIBRARY, instance(), "line", all());
    taker.subscribe_to_all(instance());
    let mut publishers: Vec<_> = events
        .iter()
        .map(|_| {
            let publisher = Client::connect(&daemon);
            let _handle = publisher.library(LIBRARY);
            publisher.open(LIBRARY, instance(), "line", all());
            publisher
        })
        .collect();
    daemon.stop();
    let mut of = HashMap::new();
    for (number, publisher) in publishers.iter_mut().enumerate() {
        for _ in 0..events[number] {
            of.insert(publish(publisher), number);
        }
    }
    daemon.go_on();
    (0..of.len()).map(|_| of[&handle.receive(&taker).0]).collect()
}

#[test]
fn who_rings_is_served_before_those_who_never_stop() {
    let order = order_of("favour", &[1000, 1000, 1]);
    let place = order.iter().position(|publisher| *publisher == 2).unwrap();
    // A favoured turn of both at most; a whole one has 256 events.
    assert!(place <= 2 * 64, "{place} came before it");
}

#[test]
fn those_who_come_first_get_no_more_than_the_line() {
    let order = order_of("line", &[50; 40]);
    let pieces = order.chunk_by(|one, other| one == other).count();
    // Who is favoured has the rest of its events behind those of the others. Together they get
    // 512 units of work, 64 each, and what comes after them is not cut. The four that were served
    // last may have had such a turn before, as the daemon looks at them itself.
    assert!((41..=52).contains(&pieces), "{pieces} pieces");
}

#[test]
fn who_reads_no_replies_makes_the_daemon_hold_few_descriptors() {
    let mut daemon = Daemon::start("unread");
    let mut witness = Witness::new(&daemon);
    let client = Client::connect(&daemon);
    let before = daemon.descriptors();
    let bodies = [
        (1, Body::LibraryOpen { library: LIBRARY, resumes: false }),
        (0, Body::LibraryClose { library: LIBRARY }),
    ];
    let (mut opened, mut stuck) = (0, false);
    'sending: while opened < 4000 {
        for (id, body) in &bodies {
            let request = Request { id: *id, barrier: [0; 4], body: body.clone() }.encode();
            while socket::send(client.control.as_fd(), &request, &[]).is_err() {
                if stuck {
                    break 'sending;
                }
                // The daemon has had turns for everybody when the witness is content.
                for _ in 0..100 {
                    witness.sees_that_all_is_well();
                }
                stuck = true;
            }
            stuck = false;
            opened += id;
        }
    }
    assert!(opened < 4000, "the daemon has read everything");
    let held = daemon.descriptors() - before;
    assert!(held <= 2 * 8 + 1, "{held}");
    for _ in 0..opened {
        let (reply, handed) = answer(client.control.as_fd());
        assert_eq!((reply.code, handed.len()), (Ok(()), 2));
    }
    assert!(daemon.is_alive());
    witness.sees_that_all_is_well();
}

#[test]
fn a_bell_gives_no_way_to_hold_up_who_rings() {
    let mut daemon = Daemon::start("ring");
    let mut witness = Witness::new(&daemon);
    let client = Client::connect(&daemon);
    let handle = client.library(LIBRARY);
    client.open(LIBRARY, instance(), "witness", all());
    client.subscribe_to_all(instance());
    fcntl(&handle.bell, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut bell = File::from(handle.bell.try_clone().unwrap());
    assert!(bell.write_all(&(u64::MAX - 1).to_le_bytes()).is_err());
    for _ in 0..3 {
        handle.inbox.agent_bell().fall_asleep();
        witness.sees_that_all_is_well();
        wild::wait_for(handle.bell.as_fd(), libc::POLLIN);
        descriptor::hear(handle.bell.as_fd());
    }
    assert!(client.is_linked() && daemon.is_alive());
}
