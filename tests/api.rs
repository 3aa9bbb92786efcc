//! The interface for programs in Rust, with real daemons: each test is a program of its own.
#![allow(clippy::disallowed_methods)] // Threads, clocks and the environment of the tests.
#![forbid(unsafe_code)]

#[path = "loopback/bed.rs"]
#[allow(dead_code)] // What other tests stand on too.
mod bed;
#[allow(dead_code)] // It has a main for itself.
#[path = "../examples/kitchen.rs"]
mod kitchen;

use SaEvt::api::{
    Connection, Delivery, Error, Event, EventId, Filter, Filters, Priority, patiently,
};
use bed::{Bed, Process};
use std::process::Command;
use std::time::Duration;

/// Set for the program that a test starts.
const PROGRAM: &str = "SAEVT_API_PROGRAM";
const LONG: Duration = Duration::from_secs(100);

/// Runs this test again as a program that finds a daemon of its own; gives the connection there.
/// `None`: the program has succeeded.
fn connection() -> Option<Connection> {
    if std::env::var_os(PROGRAM).is_some() {
        return Some(Connection::open_within(LONG).expect("the daemon is there"));
    }
    let bed = Bed::new();
    let _daemon = bed.daemon();
    let name = std::thread::current().name().expect("a test has a name").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.args(["--exact", &name, "--nocapture"]).env("SAEVT_SOCKET", bed.socket());
    let status = Process::start(command.env(PROGRAM, "1")).wait();
    assert!(status.success(), "the program of {name} has failed");
    None
}

#[track_caller]
fn event(connection: &Connection) -> Event {
    let delivery = connection.receive(Some(LONG)).unwrap();
    delivery.expect("in time").event().expect("nothing was lost")
}

#[test]
fn the_example_of_the_documentation_works() {
    let Some(_connection) = connection() else { return };
    kitchen::main().unwrap();
}

#[test]
fn an_event_comes_with_everything_it_was_given() {
    let Some(connection) = connection() else { return };
    let opening = connection.channel("safChnl=a").create().publisher().subscriber();
    let channel = opening.open().unwrap();
    let subscription = channel.subscribe(Filters::default()).unwrap();
    let outgoing = channel
        .event()
        .pattern("one")
        .pattern(b"t\0wo\xff")
        .publisher("me")
        .priority(Priority::HIGHEST)
        .retain(Duration::from_secs(60))
        .build()
        .unwrap();
    let ids = [outgoing.publish("first").unwrap(), outgoing.publish(b"").unwrap()];
    let first = event(&connection);
    assert_eq!((first.id(), first.data()), (ids[0], b"first".as_slice()));
    assert_eq!((first.channel(), first.subscription()), (channel.name(), subscription));
    assert_eq!(first.patterns().collect::<Vec<_>>(), [b"one".as_slice(), b"t\0wo\xff"]);
    assert_eq!((first.publisher(), first.priority()), (b"me".as_slice(), Priority::HIGHEST));
    assert_eq!(first.retention(), Duration::from_secs(60));
    assert!(first.published() > std::time::UNIX_EPOCH && first.published_ns() > 0);
    let second = event(&connection);
    assert_eq!((second.id(), second.data()), (ids[1], b"".as_slice()));
}

#[test]
fn only_what_matches_comes_and_nothing_after_the_end_of_a_subscription() {
    let Some(connection) = connection() else { return };
    let opening = connection.channel("safChnl=a").create().publisher().subscriber();
    let channel = opening.open().unwrap();
    let filters = Filters(vec![Filter::prefix("ov"), Filter::suffix("ot")]);
    let both = channel.subscribe(filters).unwrap();
    let fridge = channel.subscribe(Filters(vec![Filter::exact("fridge")])).unwrap();
    let publish = |one: &str, two: &str| {
        channel.event().pattern(one).pattern(two).publish(one).unwrap();
    };
    publish("oven", "cold");
    publish("oven", "hot");
    publish("fridge", "cold");
    assert_eq!(event(&connection).subscription(), both);
    assert_eq!(event(&connection).subscription(), fridge);
    channel.unsubscribe(both).unwrap();
    assert_eq!(channel.unsubscribe(both), Err(Error::NotExist));
    publish("oven", "hot");
    publish("fridge", "cold");
    assert_eq!(event(&connection).subscription(), fridge);
    assert_eq!(connection.try_receive(), Ok(None));
    assert_eq!(connection.receive(Some(Duration::ZERO)), Ok(None));
}

#[test]
fn what_is_retained_comes_to_later_subscribers_until_it_is_cleared() {
    let Some(connection) = connection() else { return };
    let channel = connection.channel("safChnl=a").create().publisher().open().unwrap();
    let id = channel.event().retain(LONG).publish("stays").unwrap();
    let reader = || {
        let other = Connection::open_within(LONG).unwrap();
        let channel = other.channel("safChnl=a").subscriber().open().unwrap();
        channel.subscribe(Filters(vec![Filter::pass_all()])).unwrap();
        other.receive_pending().unwrap()
    };
    let [Delivery::Event(event)] = &reader()[..] else { panic!("one event") };
    assert_eq!((event.id(), event.data()), (id, b"stays".as_slice()));
    let [stored] = &connection.retained("safChnl=a").unwrap()[..] else { panic!("one event") };
    assert_eq!((stored.id, stored.data_bytes), (id, 5));
    channel.clear(id).unwrap();
    assert_eq!(channel.clear(id), Err(Error::NotExist));
    assert_eq!(channel.clear(EventId::LOST), Err(Error::InvalidParam));
    assert_eq!(reader(), []);
}

#[test]
fn a_reader_that_is_too_slow_is_told_what_channel_has_lost_something() {
    let Some(connection) = connection() else { return };
    let opening = connection.channel("safChnl=a").create().publisher().subscriber();
    let channel = opening.open().unwrap();
    let subscription = channel.subscribe(Filters::default()).unwrap();
    let outgoing = channel.event().build().unwrap();
    let data = vec![0; 60_000];
    // More than its window and its queue hold.
    for _ in 0..2000 {
        patiently(LONG, || outgoing.publish(&data)).unwrap();
    }
    let lost = connection.deliveries().find_map(|delivery| match delivery.unwrap() {
        Delivery::Lost(lost) => Some(lost),
        Delivery::Event(_) => None,
    });
    let lost = lost.unwrap();
    assert_eq!((lost.channel(), lost.subscription()), (channel.name(), subscription));
    assert!(lost.noticed_ns() > 0);
}

#[test]
fn what_is_refused_is_told() {
    let Some(connection) = connection() else { return };
    let open = |name: &[u8]| connection.channel(name).create().publisher().open().map(|_| ());
    assert_eq!(open(b""), Err(Error::InvalidParam));
    assert_eq!(open(b"plain"), Err(Error::InvalidParam));
    assert_eq!(open(&[b'x'; 257]), Err(Error::InvalidParam));
    let missing = connection.channel("safChnl=none").subscriber().open();
    assert_eq!(missing.map(|_| ()), Err(Error::NotExist));
    let for_nothing = connection.channel("safChnl=a").open();
    assert_eq!(for_nothing.map(|_| ()), Err(Error::BadFlags));
    let channel = connection.channel("safChnl=a").create().publisher().open().unwrap();
    assert_eq!(channel.subscribe(Filters::default()), Err(Error::Access));
    let most = connection.limits().unwrap().event_bytes_max as usize;
    assert_eq!(channel.event().publish(vec![0; most + 1]), Err(Error::TooBig));
    assert!(channel.event().publish(vec![0; most]).is_ok());
    assert_eq!(channel.event().publisher([b'x'; 257]).publish(""), Err(Error::InvalidParam));
    assert_eq!(channel.event().retain(Duration::MAX).publish(""), Err(Error::TooBig));
    connection.unlink("safChnl=a").unwrap();
    assert_eq!(connection.unlink("safChnl=a"), Err(Error::NotExist));
}

#[test]
fn a_closed_channel_brings_nothing_more() {
    let Some(connection) = connection() else { return };
    let publisher = connection.channel("safChnl=a").create().publisher().open().unwrap();
    let closed = connection.channel("safChnl=a").subscriber().open().unwrap();
    let open = connection.channel("safChnl=a").subscriber().open().unwrap();
    closed.subscribe(Filters::default()).unwrap();
    let subscription = open.subscribe(Filters::default()).unwrap();
    drop(closed);
    publisher.event().publish("x").unwrap();
    assert_eq!(event(&connection).subscription(), subscription);
    assert_eq!(connection.receive(Some(Duration::ZERO)), Ok(None));
}

#[test]
fn threads_share_a_connection() {
    let Some(connection) = connection() else { return };
    let opening = connection.channel("safChnl=a").create().publisher().subscriber();
    let channel = opening.open().unwrap();
    channel.subscribe(Filters::default()).unwrap();
    let received = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut number = 0;
                    while event(&connection).data() != b"end" {
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        for _ in 0..1000 {
            patiently(LONG, || channel.event().publish("x")).unwrap();
        }
        for _ in 0..4 {
            patiently(LONG, || channel.event().publish("end")).unwrap();
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u32>()
    });
    assert_eq!(received, 1000);
}
