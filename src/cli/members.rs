//! `saevt members`: the cluster, as this node sees it.

use super::arguments::{General, Shown};
use super::failure::Failure;
use super::output::Output;
use super::status::{ask, show_json};
use super::table::{Cell, Mood, Table};
use super::text::{self, escape};
use super::{json, service};
use SaEvt::api::{ClusterStatus, Connection, MemberStatus};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Runs the command.
pub(super) fn run(task: &Shown, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let cluster = ask(&connection, general, "the cluster", Connection::cluster)?;
    if task.json {
        return show_json("saevt.members/1", object(&cluster));
    }
    let mut output = Output::new();
    if cluster.engine.is_empty() {
        return output.line("this node is in no cluster: it serves this host alone");
    }
    output.line(&summary(&cluster))?;
    let mut table = Table::new(&[
        ">MEMBER",
        ">START",
        ">NODE",
        "STATE",
        ">ROUND TRIP",
        ">SILENT FOR",
        ">QUEUED",
        ">HELD",
    ]);
    for member in &cluster.members {
        table.add(row(member));
    }
    if !cluster.members.is_empty() {
        table.show(&mut output)?;
    }
    for (at, what) in &cluster.changes {
        output.line(&format!("{}  {}", text::date(*at), escape(what.as_bytes())))?;
    }
    Ok(())
}

/// How a node is doing in its cluster, in a line: its number, and how many are together.
pub(super) fn summary(cluster: &ClusterStatus) -> String {
    let engine = escape(cluster.engine.as_bytes());
    let standing = match cluster.standing.as_str() {
        "starting" => format!("{engine} is not reached yet"),
        "outside" => format!("{engine} has no quorum here"),
        _ => format!("{engine} has it as a member"),
    };
    let serving = if cluster.serving { "serves programs" } else { "does not serve programs" };
    let leader = match cluster.leader {
        Some(leader) if leader == cluster.member => "; it leads".to_owned(),
        Some(leader) => format!("; member {leader} leads"),
        None => String::new(),
    };
    let together = 1 + cluster.members.iter().filter(|one| one.relation == "member").count();
    let number = cluster.member;
    format!("member {number} of {together}: {serving}{leader}; {standing}")
}

fn row(member: &MemberStatus) -> Vec<Cell> {
    let number = |value: Option<u32>| value.map_or("?".to_owned(), |value| value.to_string());
    let mood = match member.relation.as_str() {
        "member" => Mood::Good,
        "refused" | "silent" => Mood::Bad,
        _ => Mood::Notable,
    };
    let span = |nanoseconds| text::span(Duration::from_nanos(nanoseconds));
    vec![
        Cell::number(number(member.life.map(|(member, _)| member.into()))),
        Cell::number(number(member.life.map(|(_, start)| start))),
        Cell::number(member.node),
        Cell::text(escape(member.relation.as_bytes())).mood(mood),
        Cell::number(member.round_trip_ns.map_or("?".to_owned(), span)),
        Cell::number(span(member.silence_ns)),
        Cell::number(text::bytes(member.queued_bytes)),
        Cell::number(text::bytes(member.held_bytes)),
    ]
}

fn object(cluster: &ClusterStatus) -> Map<String, Value> {
    let mut to = Map::new();
    let engine = Some(&cluster.engine).filter(|engine| !engine.is_empty());
    to.insert("engine".into(), json!(engine));
    to.insert("standing".into(), json!(cluster.standing));
    to.insert("serving".into(), json!(cluster.serving));
    to.insert("member".into(), json!(cluster.member));
    to.insert("leader".into(), json!(cluster.leader));
    let counters = cluster.counters.iter().map(|(name, value)| (name.clone(), json!(value)));
    to.insert("counters".into(), Value::Object(counters.collect()));
    to.insert("members".into(), cluster.members.iter().map(member_object).collect());
    let changes = cluster.changes.iter().map(|(at, what)| {
        let mut to = Map::new();
        to.insert("at".into(), text::rfc3339(*at).into());
        to.insert("at_ns".into(), json!(at));
        json::add_bytes(&mut to, "what", what.as_bytes());
        Value::Object(to)
    });
    to.insert("changes".into(), changes.collect());
    to
}

fn member_object(member: &MemberStatus) -> Value {
    json!({
        "member": member.life.map(|(member, _)| member),
        "start": member.life.map(|(_, start)| start),
        "node": member.node,
        "state": member.relation,
        "round_trip_ns": member.round_trip_ns,
        "silent_ns": member.silence_ns,
        "queued_bytes": member.queued_bytes,
        "held_bytes": member.held_bytes,
        "complete": member.complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn cluster() -> ClusterStatus {
        let member = MemberStatus {
            life: Some((3, 4)),
            node: 5,
            relation: "member".into(),
            round_trip_ns: Some(6),
            silence_ns: 7,
            queued_bytes: 8,
            held_bytes: 9,
            complete: true,
        };
        let counters = ["channels", "retained_events", "requests", "operations"];
        let counters = counters.into_iter().chain(["applied", "stable"]);
        ClusterStatus {
            engine: "corosync".into(),
            standing: "member".into(),
            serving: true,
            member: 1,
            leader: Some(1),
            counters: counters.map(|name| (name.to_owned(), 2)).collect(),
            members: vec![member.clone(), MemberStatus { life: None, ..member }],
            changes: vec![(0, "programs are served".into())],
        }
    }

    /// Every member of an object and of the objects in it.
    fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{name}");
                    paths(member, &path, found);
                    found.insert(path);
                }
            }
            Value::Array(list) => list.iter().for_each(|member| paths(member, path, found)),
            _ => {}
        }
    }

    /// A node that is alone shows empty lists, so the rest is held against the document here.
    #[test]
    fn what_is_shown_to_programs_is_as_documented() {
        let text = include_str!("../../docs/schemas.md");
        let (_, rest) = text.split_once("## `saevt.members/1`\n").unwrap();
        let rows = rest.split("\n## ").next().unwrap().lines();
        let rows = rows.filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let documented: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
        let mut found = BTreeSet::new();
        paths(&Value::Object(object(&cluster())), "", &mut found);
        assert_eq!(found, documented);
    }

    #[test]
    fn a_line_says_how_the_node_is_doing() {
        let one = cluster();
        let all = "member 1 of 3: serves programs; it leads; corosync has it as a member";
        assert_eq!(summary(&one), all);
        let outside = ClusterStatus {
            standing: "outside".into(),
            serving: false,
            leader: Some(9),
            members: Vec::new(),
            ..one
        };
        let said = "member 1 of 1: does not serve programs; member 9 leads; corosync has no \
                    quorum here";
        assert_eq!(summary(&outside), said);
    }
}
