//! `saevt status`, `channels`, `clients`, `retained`, `limits`: what the node says of itself.

use super::arguments::{Counted, General, Retained, Shown};
use super::failure::Failure;
use super::output::Output;
use super::programs;
use super::rates::{self, Rate};
use super::table::{Cell, Mood, Table, losses};
use super::text::{self, escape};
use super::{format, json, service};
use SaEvt::api::{ChannelStatus, Connection, Error, NodeStatus, ProgramStatus, patiently};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Asks the node something.
pub(super) fn ask<T>(
    connection: &Connection,
    general: &General,
    what: &str,
    question: impl Fn(&Connection) -> Result<T, Error>,
) -> Result<T, Failure> {
    let answer = patiently(general.wait, || question(connection));
    answer.map_err(|error| Failure::of(format!("cannot ask for {what}"), error))
}

/// Shows an object that begins with the name of its schema.
pub(super) fn show_json(schema: &str, object: Map<String, Value>) -> Result<(), Failure> {
    let mut whole = Map::new();
    whole.insert("schema".into(), schema.into());
    whole.extend(object);
    Output::new().line(&format!("{:#}", Value::Object(whole)))
}

/// How long ago a moment was.
pub(super) fn since(nanoseconds: i64) -> Duration {
    let then = UNIX_EPOCH + Duration::from_nanos(nanoseconds.max(0).unsigned_abs());
    SystemTime::now().duration_since(then).unwrap_or_default()
}

/// `saevt status`.
pub(super) fn node(task: &Counted, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let look = || ask(&connection, general, "the status", Connection::node);
    let (node, rates) = rates::look(task.over, look, |node| vec![((), grown(node))])?;
    let rate = rates.as_ref().map(|rates| rates.of(&(), grown(&node)));
    if task.json {
        let mut to = node_object(&node);
        if let (Some(rates), Some(rate)) = (&rates, rate) {
            let mut of_node = Map::new();
            rate.add(&mut of_node);
            rates.add_time(&mut to);
            to.insert("rates".into(), of_node.into());
        }
        return show_json("saevt.status/1", to);
    }
    let mut table = Table::default();
    let mut add = |name: &str, value: String, mood| {
        table.add(vec![Cell::text(name), Cell::text(value).mood(mood)]);
    };
    add("daemon", format!("saevtd {}, process {}", node.version, node.pid), Mood::Plain);
    let age = text::span(since(node.since_ns));
    add("running for", format!("{age}, since {}", text::date(node.since_ns)), Mood::Plain);
    add("start", node.start.to_string(), Mood::Plain);
    for (name, value) in &node.counters {
        let shown = match name.ends_with("_bytes") {
            true => text::bytes(*value),
            false => value.to_string(),
        };
        let bad = name == "lost_events" && *value > 0;
        let shown = match (rate, name.as_str()) {
            (Some(Rate { publications: rate, .. }), "publications")
            | (Some(Rate { lost_events: rate, .. }), "lost_events") => {
                format!("{shown}, {} a second", rates::shown(rate))
            }
            _ => shown,
        };
        add(&name.replace('_', " "), shown, if bad { Mood::Bad } else { Mood::Plain });
    }
    table.show(&mut Output::new())
}

/// What grows: publications and lost-events.
fn grown(node: &NodeStatus) -> [u64; 2] {
    ["publications", "lost_events"].map(|name| {
        let known = node.counters.iter().find(|(known, _)| known == name);
        known.map_or(0, |(_, value)| *value)
    })
}

/// The node as an object.
pub(super) fn node_object(node: &NodeStatus) -> Map<String, Value> {
    let mut to = Map::new();
    to.insert("version".into(), node.version.as_str().into());
    to.insert("link_version".into(), node.link_version.into());
    to.insert("pid".into(), node.pid.into());
    to.insert("start".into(), node.start.into());
    to.insert("since".into(), text::rfc3339(node.since_ns).into());
    to.insert("since_ns".into(), node.since_ns.into());
    let counters = node.counters.iter().map(|(name, value)| (name.clone(), json!(value)));
    to.insert("counters".into(), Value::Object(counters.collect()));
    to
}

/// `saevt channels`.
pub(super) fn channels(task: &Counted, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let look = || ask(&connection, general, "the channels", Connection::channels);
    let of = |channel: &ChannelStatus| {
        ((channel.name, channel.linked), [channel.publications, channel.lost_events])
    };
    let (mut channels, rates) =
        rates::look(task.over, look, |channels| channels.iter().map(of).collect())?;
    channels.sort_by_key(|channel| (channel.name, !channel.linked));
    let rate = |channel: &ChannelStatus| {
        let (whose, now) = of(channel);
        rates.as_ref().map(|rates| rates.of(&whose, now))
    };
    if task.json {
        let list: Vec<_> = channels.iter().map(|it| channel_object(it, rate(it))).collect();
        let mut to = Map::from_iter([("channels".into(), json!(list))]);
        if let Some(rates) = &rates {
            rates.add_time(&mut to);
        }
        return show_json("saevt.channels/1", to);
    }
    let mut heads = vec![
        "CHANNEL",
        ">OPEN",
        ">PUB",
        ">SUB",
        ">EVENTS",
        ">RETAINED",
        ">BYTES",
        ">LOST",
        "CREATED",
    ];
    if rates.is_some() {
        heads.splice(1..1, rates::HEADS);
    }
    let mut table = Table::new(&heads);
    for channel in &channels {
        let name = escape(channel.name.octets());
        let mut row = vec![
            match channel.linked {
                true => Cell::text(name),
                false => Cell::text(format!("{name} (unlinked)")).mood(Mood::Notable),
            },
            Cell::number(channel.openers),
            Cell::number(channel.publishers),
            Cell::number(channel.subscribers),
            Cell::number(channel.publications),
            Cell::number(channel.retained_events),
            Cell::number(text::bytes(channel.retained_bytes)),
            losses(channel.lost_events),
            Cell::text(match channel.created_ns {
                ChannelStatus::UNKNOWN => "unknown".to_owned(),
                known => text::date(known),
            }),
        ];
        row.splice(1..1, rate(channel).into_iter().flat_map(Rate::cells));
        table.add(row);
    }
    table.show(&mut Output::new())
}

fn channel_object(channel: &ChannelStatus, rate: Option<Rate>) -> Value {
    let mut to = Map::new();
    json::add_bytes(&mut to, "name", channel.name.octets());
    to.insert("linked".into(), channel.linked.into());
    let created = (channel.created_ns != ChannelStatus::UNKNOWN).then_some(channel.created_ns);
    to.insert("created".into(), created.map(text::rfc3339).into());
    to.insert("created_ns".into(), created.into());
    for (name, value) in [
        ("openers", channel.openers),
        ("publishers", channel.publishers),
        ("subscribers", channel.subscribers),
        ("publications", channel.publications),
        ("retained_events", channel.retained_events),
        ("retained_bytes", channel.retained_bytes),
        ("lost_events", channel.lost_events),
    ] {
        to.insert(name.into(), value.into());
    }
    if let Some(rate) = rate {
        rate.add(&mut to);
    }
    Value::Object(to)
}

/// `saevt clients`.
pub(super) fn clients(task: &Counted, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let look = || ask(&connection, general, "the programs", Connection::programs);
    let of = |program: &ProgramStatus| (program.pid, [program.publications, program.lost_events]);
    let (all, rates) = rates::look(task.over, look, |all| all.iter().map(of).collect())?;
    let rate =
        |program: &ProgramStatus| rates.as_ref().map(|rates| rates.of(&program.pid, of(program).1));
    let mut names = programs::Names::default();
    let mut clients: Vec<_> = all.into_iter().filter(|one| one.pid != std::process::id()).collect();
    clients.sort_by_key(|client| client.pid);
    if task.json {
        let list = clients.iter().map(|client| {
            let mut object = names.object(client);
            if let Some(rate) = rate(client) {
                rate.add(&mut object);
            }
            Value::Object(object)
        });
        let mut to = Map::from_iter([("clients".into(), list.collect::<Vec<_>>().into())]);
        if let Some(rates) = &rates {
            rates.add_time(&mut to);
        }
        return show_json("saevt.clients/1", to);
    }
    let mut heads = vec![
        ">PID",
        "USER",
        "PROGRAM",
        ">OPEN",
        ">SUBS",
        ">PUBLISHED",
        ">QUEUED",
        ">QUEUE",
        ">UNREAD",
        ">LOST",
        ">SHARED",
    ];
    if rates.is_some() {
        heads.splice(3..3, rates::HEADS);
    }
    let mut table = Table::new(&heads);
    for client in &clients {
        let mut row = vec![
            Cell::number(client.pid),
            Cell::text(names.user(client.uid)),
            Cell::text(programs::name_of(client.pid)),
            Cell::number(client.instances),
            Cell::number(client.subscriptions),
            Cell::number(client.publications),
            Cell::number(client.queued_events),
            Cell::number(text::bytes(client.queued_bytes)),
            Cell::number(text::bytes(client.unread_bytes)),
            losses(client.lost_events),
            Cell::number(text::bytes(client.shared_bytes)),
        ];
        row.splice(3..3, rate(client).into_iter().flat_map(Rate::cells));
        table.add(row);
    }
    table.show(&mut Output::new())
}

/// `saevt retained`.
pub(super) fn retained(task: &Retained, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let name = task.channel.octets();
    let what = format!("what {} retains", escape(name));
    let events = ask(&connection, general, &what, |connection| connection.retained(name))?;
    let nanoseconds = |span: SaEvt::api::Span| match span {
        SaEvt::api::Span::FOREVER => Duration::MAX,
        span => Duration::from_nanos(span.0),
    };
    if task.json {
        let list: Vec<_> = events
            .iter()
            .map(|event| {
                let mut to = Map::new();
                to.insert("id".into(), event.id.0.to_string().into());
                to.insert("priority".into(), event.priority.number().into());
                to.insert("published".into(), text::rfc3339(event.published_ns).into());
                to.insert("published_ns".into(), event.published_ns.into());
                to.insert("retention_ns".into(), json::nanoseconds(nanoseconds(event.retention)));
                to.insert("left_ns".into(), json::nanoseconds(nanoseconds(event.left)));
                to.insert("data_bytes".into(), event.data_bytes.into());
                json::add_bytes(&mut to, "publisher", event.publisher());
                let patterns: Vec<_> = event.patterns().collect();
                json::add_list(&mut to, "patterns", patterns.iter().copied());
                Value::Object(to)
            })
            .collect();
        let mut to = Map::new();
        json::add_bytes(&mut to, "channel", name);
        to.insert("events".into(), json!(list));
        return show_json("saevt.retained/1", to);
    }
    let heads = ["ID", ">PRIORITY", "PUBLISHED", ">LEFT", ">BYTES", "PUBLISHER", "PATTERNS"];
    let mut table = Table::new(&heads);
    for event in &events {
        table.add(vec![
            Cell::text(event.id.0.to_string()),
            Cell::number(event.priority.number()),
            Cell::text(text::date(event.published_ns)),
            Cell::number(format::retention(nanoseconds(event.left))),
            Cell::number(text::bytes(event.data_bytes)),
            Cell::text(escape(event.publisher())),
            Cell::text(format::patterns(event.patterns())),
        ]);
    }
    table.show(&mut Output::new())
}

/// `saevt limits`.
pub(super) fn limits(task: &Shown, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let limits = ask(&connection, general, "the limits", Connection::node_limits)?;
    if task.json {
        let values = limits.into_iter().map(|(name, value)| (name, json!(value))).collect();
        return show_json("saevt.limits/1", Map::from_iter([("limits".into(), values)]));
    }
    let mut table = Table::new(&["LIMIT", ">VALUE", ">THAT IS"]);
    for (name, value) in &limits {
        let shown = if name.contains("bytes") {
            text::bytes(*value)
        } else if name.ends_with("_ns") {
            text::span(Duration::from_nanos(*value))
        } else if name == "channel_names_are_dns" {
            if *value == 1 { "yes" } else { "no" }.to_owned()
        } else {
            String::new()
        };
        table.add(vec![Cell::text(name), Cell::number(value), Cell::number(shown)]);
    }
    table.show(&mut Output::new())
}
