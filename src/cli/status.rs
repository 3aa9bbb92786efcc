//! `saevt status`, `channels`, `clients`, `retained`, `limits`: what the node says of itself.

use super::arguments::{General, Retained, Shown};
use super::failure::Failure;
use super::output::Output;
use super::programs;
use super::table::{Cell, Mood, Table, losses};
use super::text::{self, escape};
use super::{format, json, service};
use SaEvt::api::{ChannelStatus, Connection, Error, NodeStatus, patiently};
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
pub(super) fn node(task: &Shown, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let node = ask(&connection, general, "the status", Connection::node)?;
    if task.json {
        return show_json("saevt.status/1", node_object(&node));
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
        add(&name.replace('_', " "), shown, if bad { Mood::Bad } else { Mood::Plain });
    }
    table.show(&mut Output::new())
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
pub(super) fn channels(task: &Shown, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let mut channels = ask(&connection, general, "the channels", Connection::channels)?;
    channels.sort_by_key(|channel| (channel.name, !channel.linked));
    if task.json {
        let list: Vec<_> = channels.iter().map(channel_object).collect();
        return show_json("saevt.channels/1", Map::from_iter([("channels".into(), json!(list))]));
    }
    let heads =
        ["CHANNEL", ">OPEN", ">PUB", ">SUB", ">EVENTS", ">RETAINED", ">BYTES", ">LOST", "CREATED"];
    let mut table = Table::new(&heads);
    for channel in &channels {
        let name = escape(channel.name.octets());
        table.add(vec![
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
        ]);
    }
    table.show(&mut Output::new())
}

fn channel_object(channel: &ChannelStatus) -> Value {
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
    Value::Object(to)
}

/// `saevt clients`.
pub(super) fn clients(task: &Shown, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let all = ask(&connection, general, "the programs", Connection::programs)?;
    let mut names = programs::Names::default();
    let mut clients: Vec<_> = all.into_iter().filter(|one| one.pid != std::process::id()).collect();
    clients.sort_by_key(|client| client.pid);
    if task.json {
        let list: Vec<_> = clients.iter().map(|client| names.object(client)).collect();
        return show_json("saevt.clients/1", Map::from_iter([("clients".into(), json!(list))]));
    }
    let heads = [
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
    let mut table = Table::new(&heads);
    for client in &clients {
        table.add(vec![
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
        ]);
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
