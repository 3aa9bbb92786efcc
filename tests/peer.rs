//! What nodes say to each other, as bytes: it comes back as it went, and nothing else is taken.

use SaEvt::evt::cluster::{
    Beat, Body, Directory, Dot, Entry, Forward, Hello, Install, Item, Life, Op, Ordered, Packet,
    Place, Report, Roles, State, Stream, ViewId,
};
use SaEvt::evt::node::EventRecord;
use SaEvt::evt::{Attributes, EventId, Incarnation, Name, Priority, Span, Time};
use SaEvt::wire::peer;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

const ONE: Life = Life { member: 1, start: 7 };
const TWO: Life = Life { member: 511, start: 262_142 };
const VIEW: ViewId = ViewId { epoch: 5, leader: ONE };
const PLACE: Place = Place { owner: TWO, number: 3 };
const CHANNEL: Incarnation = Incarnation(u128::MAX - 5);

fn name() -> Name {
    Name::new(b"safChnl=a\0b").unwrap()
}

fn ops() -> Vec<Ordered> {
    let all = [
        Op::Open { name: name(), create: Some(CHANNEL), roles: Roles::PUBLISHER, ordered: false },
        Op::Open { name: name(), create: None, roles: Roles::empty(), ordered: false },
        Op::Unlink { name: name() },
        Op::Clear { incarnation: CHANNEL, id: EventId(5000), place: PLACE },
        Op::Roles { incarnation: CHANNEL, roles: Roles::SUBSCRIBER },
    ];
    let ordered = |(number, op)| Ordered { number, origin: TWO, request: number + 9, op };
    (1..).zip(all).map(ordered).collect()
}

fn item(place: Option<Place>) -> Item {
    let packed = Attributes::pack(&name(), [&b"ab"[..], b""].into_iter()).unwrap();
    let record = EventRecord {
        id: EventId(70_000),
        publish_time: -5,
        retention: Span::FOREVER,
        priority: Priority::LOWEST,
        attributes: packed.packed().to_vec(),
        data: b"data".to_vec(),
    };
    Item { incarnation: CHANNEL, place, deadline: Time::MAX, record: Rc::new(record) }
}

/// Events that have much in common with those before them, and some that have not.
fn burst() -> Vec<Item> {
    let first = Item { deadline: Time(0), ..item(None) };
    let after = |before: &Item, change: &dyn Fn(&mut EventRecord)| {
        let mut record = EventRecord::clone(&before.record);
        record.id = EventId(record.id.0 + 1);
        change(&mut record);
        Item { record: Rc::new(record), ..before.clone() }
    };
    let mut burst = vec![first];
    let changes: [&dyn Fn(&mut EventRecord); 7] = [
        &|record| record.publish_time += 1,
        &|record| record.publish_time -= 1,
        &|record| record.publish_time = i64::MAX,
        &|record| record.id = EventId(80_000),
        &|record| record.retention = Span::ZERO,
        &|record| record.priority = Priority::HIGHEST,
        &|record| record.data = vec![7; 300],
    ];
    for change in changes {
        let next = after(burst.last().unwrap(), change);
        burst.push(next);
    }
    let other = Item { incarnation: Incarnation(4), place: Some(PLACE), ..burst[0].clone() };
    burst.extend([Item { deadline: Time(9), ..other.clone() }, other]);
    burst
}

fn directory() -> Directory {
    let lives = BTreeMap::from([
        (CHANNEL, Dot { leader: ONE, number: 1 }),
        (Incarnation(4), Dot { leader: TWO, number: 2 }),
    ]);
    let roles = BTreeMap::from([(1, Roles::PUBLISHER), (511, Roles::SUBSCRIBER)]);
    let entry = Entry { name: name(), linked: true, ordered: false, lives, roles, touched: 6 };
    Directory::from_parts(vec![entry], BTreeMap::from([(ONE, 1), (TWO, 2)])).unwrap()
}

fn control() -> Vec<Body> {
    let echo = Some((Time(4), Span(5)));
    let beat = Beat { time: Time(3), echo, sent: 6, choice: ONE, epoch: 8 };
    let hello = Hello {
        version_min: 1,
        version_max: 2,
        life: TWO,
        number: 3,
        echo: Some(4),
        have: 5,
        seen_start: 6,
        limits: [1, 2, 3, 4, 5, 6, 7, u64::MAX],
        beat,
    };
    let first = Hello { echo: None, beat: Beat { echo: None, ..beat }, ..hello };
    let have = BTreeMap::from([(ONE, 3), (TWO, u64::MAX)]);
    let report = Report {
        view: VIEW,
        prior: Some(VIEW),
        cold: false,
        empty: true,
        serving: false,
        applied: 9,
        suffix: ops(),
        have: have.clone(),
    };
    let live = BTreeMap::from([(PLACE, CHANNEL)]);
    let state = State { directory: directory(), have, live, ahead: BTreeSet::from([PLACE]) };
    let install = Install {
        view: VIEW,
        version: 1,
        serve: true,
        members: BTreeSet::from([ONE, TWO]),
        priors: BTreeMap::from([(TWO, VIEW)]),
        base: 4,
        missing: ops(),
        directory: Some(Box::new(directory())),
        void: false,
        removed: vec![PLACE],
        plan: vec![Forward { owner: ONE, holder: TWO, to: ONE, after: 2 }],
    };
    let mut all = vec![
        Body::Hello(Box::new(hello)),
        Body::Hello(Box::new(first)),
        Body::Beat(beat),
        Body::Propose(VIEW),
        Body::Refuse { epoch: 5 },
        Body::Report(Box::new(Report { prior: None, ..report.clone() })),
        Body::Report(Box::new(report)),
        Body::Fetch(VIEW),
        Body::State(VIEW, Box::new(state)),
        Body::Install(Box::new(Install { directory: None, ..install.clone() })),
        Body::Install(Box::new(install)),
        Body::Ops { view: VIEW, ops: ops() },
        Body::Ack { view: VIEW, number: 3 },
        Body::Stable { view: VIEW, number: 4 },
    ];
    all.extend(ops().into_iter().map(|o| Body::Request { view: VIEW, request: 3, op: o.op }));
    all
}

/// What version 2 brought.
fn in_version_2() -> Vec<Packet> {
    let publish = Op::Publish { items: vec![item(None), item(Some(PLACE))] };
    let roles = Roles::SUBSCRIBER;
    let create = Op::Open { name: name(), create: Some(CHANNEL), roles, ordered: true };
    let ordered = |(number, op)| Ordered { number, origin: TWO, request: 3, op };
    let ops: Vec<Ordered> = (5..).zip([publish.clone(), create]).map(ordered).collect();
    let mut directory = directory();
    directory.set_ordered(|_| true);
    let bodies = control().into_iter().filter_map(|body| match body {
        Body::Report(report) => {
            Some(Body::Report(Box::new(Report { suffix: ops.clone(), ..*report })))
        }
        Body::State(view, state) => {
            let directory = directory.clone();
            Some(Body::State(view, Box::new(State { directory, ..*state })))
        }
        Body::Install(install) => Some(Body::Install(Box::new(Install { version: 2, ..*install }))),
        Body::Ops { view, .. } => Some(Body::Ops { view, ops: ops.clone() }),
        Body::Request { view, request, .. } => {
            Some(Body::Request { view, request, op: publish.clone() })
        }
        _ => None,
    });
    let owner = TWO.in_order();
    let place = Place { owner, number: 3 };
    let clear = Op::Clear { incarnation: CHANNEL, id: EventId(5000), place };
    let streams = [
        Stream::Items(vec![item(Some(place))]),
        Stream::Forwarded { owner, upto: 9 },
        Stream::Burst(Vec::new()),
        Stream::Burst(burst()),
    ];
    let streams = streams.map(|stream| Body::Stream { view: VIEW, applied: 3, stream });
    let more = [Body::Request { view: VIEW, request: 3, op: clear }];
    let bodies = bodies.chain(more).chain(streams);
    bodies.map(|body| Packet { session: 8, number: 9, body }).collect()
}

fn samples() -> Vec<Packet> {
    let mut all = in_version_1();
    all.extend(in_version_2());
    all
}

fn in_version_1() -> Vec<Packet> {
    let streams = [
        Stream::Began { missed: vec![CHANNEL] },
        Stream::Items(vec![item(None), item(Some(PLACE))]),
        Stream::CaughtUp,
        Stream::Forwarded { owner: ONE, upto: 9 },
        Stream::Lost(vec![CHANNEL, Incarnation(1)]),
        Stream::Goodbye,
        Stream::Probe { id: EventId(3000) },
        Stream::Probed { id: EventId(3000) },
    ];
    let streams = streams.map(|stream| Body::Stream { view: VIEW, applied: 3, stream });
    let bodies = control().into_iter().chain(streams);
    bodies.map(|body| Packet { session: 8, number: 9, body }).collect()
}

#[test]
fn every_packet_comes_back_as_it_went() {
    for packet in samples() {
        assert_eq!(peer::decode(&peer::encode(&packet)), Ok(packet));
    }
}

/// The files were written by the last release that spoke version 1 only. Their names end in the
/// places of the samples.
#[test]
fn what_was_said_in_version_1_is_said_and_understood_as_ever() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/peer");
    let files = std::fs::read_dir(corpus).expect("the corpus").flatten();
    let mut read = BTreeMap::new();
    for file in files {
        let name = file.file_name().into_string().expect("a name");
        let Some((_, place)) = name.rsplit_once('-').filter(|_| !name.starts_with("later")) else {
            continue;
        };
        let place: usize = place.parse().expect("a number");
        read.insert(place, std::fs::read(file.path()).expect("a file"));
    }
    let samples = in_version_1();
    assert_eq!(read.len(), samples.len(), "one file for each");
    for (place, packet) in samples.iter().enumerate() {
        assert_eq!(packet.body.version(), 1);
        assert_eq!(peer::encode(packet), read[&place], "{packet:?}");
        assert_eq!(peer::decode(&read[&place]).as_ref(), Ok(packet));
    }
    assert!(in_version_2().iter().all(|packet| packet.body.version() == 2));
}

#[test]
fn no_truncated_or_lengthened_packet_is_taken() {
    for packet in samples() {
        let mut bytes = peer::encode(&packet);
        for end in 0..bytes.len() {
            assert!(peer::decode(&bytes[..end]).is_err(), "{packet:?} cut at {end}");
        }
        bytes.push(0);
        assert!(peer::decode(&bytes).is_err(), "{packet:?}");
    }
}

#[test]
fn a_directory_that_contradicts_itself_is_not_taken() {
    let lives = BTreeMap::from([(CHANNEL, Dot { leader: ONE, number: 1 })]);
    let (name, roles) = (name(), BTreeMap::new());
    let entry = Entry { name, linked: true, ordered: false, lives, roles, touched: 0 };
    let twice = vec![entry.clone(), entry.clone()];
    assert_eq!(Directory::from_parts(twice, BTreeMap::new()), None, "a number twice");
    let lives = BTreeMap::from([(Incarnation(1), Dot { leader: ONE, number: 2 })]);
    let other = Entry { lives, ..entry.clone() };
    assert_eq!(Directory::from_parts(vec![entry.clone(), other], BTreeMap::new()), None, "a name");
    let none = Entry { lives: BTreeMap::new(), ..entry };
    assert_eq!(Directory::from_parts(vec![none], BTreeMap::new()), None, "no number");
}
