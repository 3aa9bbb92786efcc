//! `status`, `channels`, `clients`, `retained`, `limits`, `doctor`, `bench`.

use crate::bed::{Bed, Process, until};
use crate::tool::{CHANNEL, Running, TOOL, retain, run, run_with, tool, watched, with_daemon};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a command shows as JSON, which has this schema.
#[track_caller]
fn object(bed: &Bed, arguments: &[&str], schema: &str) -> Value {
    let text = run(bed, &[arguments, &["--json"]].concat()).ok();
    let object: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(object["schema"], schema);
    object
}

/// The names of the members of an object, in their order.
fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

/// The members that `docs/schemas.md` has in the table below the heading of a schema.
fn documented(schema: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) =
        text.split_once(&format!("## `{schema}`\n")).unwrap_or_else(|| panic!("{schema}"));
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`').map(|(name, _)| name.to_owned())).collect()
}

/// Every member of an object and of the objects in it, by its path without the places in lists.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                paths(member, &path, found);
                found.insert(path);
            }
        }
        Value::Array(list) => list.iter().for_each(|member| paths(member, path, found)),
        _ => {}
    }
}

#[track_caller]
fn is_as_documented(object: &Value, schema: &str) {
    let mut found = BTreeSet::new();
    paths(object, "", &mut found);
    found.remove("schema");
    let documented: BTreeSet<_> = documented(schema).into_iter().collect();
    // Exact bytes are there only where text is not enough.
    let always = |name: &&String| !name.ends_with("_hex");
    let expected: BTreeSet<_> = documented.iter().filter(always).cloned().collect();
    assert_eq!(found, expected, "{schema}");
}

#[test]
fn what_is_shown_to_programs_is_as_documented() {
    with_daemon(|bed| {
        retain(bed, "x");
        let mut watcher = Running::start(&mut tool(bed, ["watch", CHANNEL, "--format", "{data}"]));
        assert_eq!(watcher.line(), "x");
        let commands: [(&[&str], &str); 7] = [
            (&["status", "--over", "10ms"], "saevt.status/1"),
            (&["channels", "--over", "10ms"], "saevt.channels/1"),
            (&["clients", "--over", "10ms"], "saevt.clients/1"),
            (&["retained", CHANNEL], "saevt.retained/1"),
            (&["limits"], "saevt.limits/1"),
            (&["doctor"], "saevt.doctor/1"),
            (&["bench", "--time", "20ms", "--bytes", "64"], "saevt.bench/1"),
        ];
        for (arguments, schema) in commands {
            is_as_documented(&object(bed, arguments, schema), schema);
        }
        let event = run(bed, &["watch", CHANNEL, "-n1", "--json"]).json().remove(0);
        is_as_documented(&event, "event");
        watcher.process.signal(Signal::SIGTERM);
    });
}

#[test]
fn rates_are_shown_when_they_are_asked_for() {
    with_daemon(|bed| {
        // Whatever the machine does besides, some of a steady flow falls into the time.
        let flow = ["publish", CHANNEL, "-q", "--repeat", "1000000", "--rate", "200", "x"];
        let publisher = Process::start(&mut tool(bed, flow));
        until(|| {
            let shown = object(bed, &["channels", "--over", "100ms"], "saevt.channels/1");
            let channel = shown["channels"].get(0)?.clone();
            (channel["publications_per_second"].as_f64()? > 0.0).then_some(())
        });
        for arguments in [["channels"], ["clients"], ["status"]] {
            let text = run(bed, &arguments).ok();
            assert!(!text.contains("EVENTS/S") && !text.contains("a second"), "{text}");
        }
        let text = run(bed, &["channels", "--over", "10ms"]).ok();
        assert!(text.starts_with("CHANNEL       EVENTS/S  LOST/S  OPEN "), "{text}");
        let text = run(bed, &["clients", "--over", "10ms"]).ok();
        assert!(text.lines().next().unwrap().contains("PROGRAM  EVENTS/S  LOST/S  OPEN"), "{text}");
        let text = run(bed, &["status", "--over", "10ms"]).ok();
        assert!(text.contains("lost events      0, 0.0 a second\n"), "{text}");
        drop(publisher);
    });
}

#[test]
fn a_node_that_is_alone_says_so() {
    with_daemon(|bed| {
        let shown = object(bed, &["members"], "saevt.members/1");
        assert_eq!((&shown["engine"], &shown["standing"]), (&Value::Null, &json!("alone")));
        assert_eq!((&shown["serving"], &shown["members"]), (&json!(true), &json!([])));
        let text = run(bed, &["members"]).ok();
        assert_eq!(text, "this node is in no cluster: it serves this host alone\n");
        assert!(run(bed, &["doctor"]).ok().contains("cluster: none"));
    });
}

#[test]
fn channels_are_counted() {
    with_daemon(|bed| {
        retain(bed, "one");
        run(bed, &["publish", "safChnl=other", "--repeat", "5"]).ok();
        let mut watcher = Running::start(&mut tool(bed, ["watch", CHANNEL, "--format", "{data}"]));
        assert_eq!(watcher.line(), "one");
        let shown = object(bed, &["channels"], "saevt.channels/1");
        let channels = shown["channels"].as_array().unwrap();
        let numbers = |channel: &Value| {
            ["openers", "publishers", "subscribers", "publications", "retained_events"]
                .map(|name| channel[name].as_u64().unwrap())
        };
        assert_eq!(channels.len(), 2);
        assert_eq!(
            (&channels[0]["name"], numbers(&channels[0])),
            (&json!("safChnl=other"), [0, 0, 0, 5, 0])
        );
        assert_eq!(
            (&channels[1]["name"], numbers(&channels[1])),
            (&json!(CHANNEL), [1, 0, 1, 1, 1])
        );
        assert!(channels[1]["created_ns"].as_i64().unwrap() > 1_700_000_000_000_000_000);
        let text = run(bed, &["channels"]).ok();
        assert!(text.starts_with("CHANNEL"), "{text}");
        assert_eq!(text.lines().count(), 3);

        run(bed, &["unlink", CHANNEL]).ok();
        let text = run(bed, &["channels"]).ok();
        assert!(text.contains("safChnl=test (unlinked)"), "{text}");
        let status = object(bed, &["status"], "saevt.status/1");
        assert_eq!(status["counters"]["channels"], 2);
        watcher.process.signal(Signal::SIGTERM);
    });
}

#[test]
fn a_channel_keeps_its_moment_of_creation_over_a_restart() {
    watched(|| {
        let bed = Bed::new();
        let created = || {
            let shown = object(&bed, &["channels"], "saevt.channels/1");
            shown["channels"][0]["created_ns"].as_i64().unwrap()
        };
        let mut daemon = bed.daemon();
        retain(&bed, "x");
        let first = created();
        for _ in 0..2 {
            daemon.kill();
            daemon = bed.daemon();
            assert_eq!(created(), first);
        }
        run(&bed, &["unlink", CHANNEL]).ok();
        retain(&bed, "x");
        assert!(created() > first, "it is another channel");
    });
}

#[test]
fn lists_of_more_than_a_page_are_complete() {
    with_daemon(|bed| {
        let names: Vec<_> = (0..300).map(|number| format!("safChnl={number:03}")).collect();
        let mut all = vec!["watch"];
        all.extend(names.iter().map(String::as_str));
        run(bed, &[&all[..], &["--retained"]].concat()).ok();
        let shown = object(bed, &["channels"], "saevt.channels/1");
        let found = shown["channels"].as_array().unwrap();
        let found: Vec<_> = found.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(found, names);

        let pattern = "x".repeat(256);
        let patterns = ["-p", &pattern].repeat(16);
        for priority in ["3", "0"] {
            let arguments = ["publish", CHANNEL, "--retain", "1h", "--repeat", "150", "-q"];
            run(bed, &[&arguments[..], &["--priority", priority], &patterns].concat()).ok();
        }
        let shown = object(bed, &["retained", CHANNEL], "saevt.retained/1");
        let events = shown["events"].as_array().unwrap();
        let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!((events.len(), ids.len()), (300, 300));
        let urgent = |event: &Value| event["priority"] == 0;
        assert_eq!(events.iter().position(|event| !urgent(event)), Some(150));
    });
}

#[test]
fn programs_are_shown_with_what_waits_for_them() {
    with_daemon(|bed| {
        retain(bed, "begin");
        let mut watcher = Running::start(&mut tool(bed, ["watch", CHANNEL, "--format", "{data}"]));
        assert_eq!(watcher.line(), "begin");
        watcher.process.stop();
        let input = "x".repeat(1000) + "\n";
        let publish = ["publish", CHANNEL, "-q", "--lines", "-"];
        run_with(&mut tool(bed, publish), input.repeat(100).as_bytes()).ok();
        let pid = watcher.process.pid();
        let client = until(|| {
            let shown = object(bed, &["clients"], "saevt.clients/1");
            let clients = shown["clients"].as_array().unwrap();
            let client = clients.iter().find(|client| client["pid"] == pid)?.clone();
            (client["unread_bytes"].as_u64().unwrap() > 100_000).then_some(client)
        });
        assert_eq!((&client["program"], &client["subscriptions"]), (&json!("saevt"), &json!(1)));
        assert_eq!((&client["libraries"], &client["publications"]), (&json!(1), &json!(0)));
        let text = run(bed, &["clients"]).ok();
        assert!(text.lines().any(|line| line.trim().starts_with(&pid.to_string())), "{text}");
        watcher.process.go_on();
        watcher.process.signal(Signal::SIGTERM);
    });
}

#[test]
fn every_limit_is_told_as_it_is_configured() {
    watched(|| {
        let bed = Bed::new();
        let _daemon = bed.daemon_with("[limits]\nchannels_max = 77\nretention_max_seconds = 2\n");
        let limits = object(&bed, &["limits"], "saevt.limits/1");
        assert_eq!(limits["limits"]["channels_max"], 77);
        assert_eq!(limits["limits"]["retention_max_ns"], 2_000_000_000_u64);
        let known = SaEvt::node::config::LIMIT_KEYS;
        assert!(known.iter().all(|key| keys(&limits["limits"]).contains(key)));
        let text = run(&bed, &["limits"]).ok();
        assert!(text.contains("channels_max") && text.contains("2.0s"), "{text}");
    });
}

#[test]
fn what_is_retained_is_listed_without_its_data() {
    with_daemon(|bed| {
        let id = retain(bed, "secret");
        let text = run(bed, &["retained", CHANNEL]).ok();
        assert!(text.contains(&id) && text.contains("6 B") && !text.contains("secret"), "{text}");
        let complaint = run(bed, &["retained", "safChnl=none"]).complaint(4);
        assert!(complaint.contains("does not exist"), "{complaint}");
    });
}

#[test]
fn nothing_is_coloured_that_is_not_for_a_terminal() {
    with_daemon(|bed| {
        for command in ["status", "channels", "clients", "limits", "doctor"] {
            assert!(!run(bed, &[command]).ok().contains('\x1b'), "{command}");
        }
    });
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_daemon_that_runs() {
    with_daemon(|bed| {
        let findings = object(bed, &["doctor"], "saevt.doctor/1");
        let findings = findings["findings"].as_array().unwrap();
        let failed = findings.iter().filter(|finding| finding["verdict"] == "failed");
        assert_eq!(failed.count(), 0, "{findings:?}");
        let text = run(bed, &["doctor"]).ok();
        assert!(text.contains("connection: process "), "{text}");
    });
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    watched(|| {
        let bed = Bed::new();
        let look = || {
            let run = run(&bed, &["doctor", "--wait", "10ms"]);
            assert_eq!((run.status.code(), run.errors.as_str()), (Some(1), ""));
            run.output
        };
        let missing = look();
        assert!(missing.contains("does not exist: no daemon runs there"), "{missing}");
        assert!(missing.contains("start the system's daemon"), "{missing}");
        std::fs::write(bed.socket(), "").unwrap();
        let file = look();
        assert!(file.contains("is not a socket"), "{file}");
        std::fs::remove_file(bed.socket()).unwrap();
        bed.daemon().kill();
        let dead = look();
        assert!(dead.contains("nobody listens"), "{dead}");
    });
}

#[test]
fn a_benchmark_measures_and_leaves_nothing_behind() {
    with_daemon(|bed| {
        let arguments = ["bench", "--time", "50ms", "--bytes", "0", "--bytes", "65536"];
        let shown =
            object(bed, &[&arguments[..], &["--subscribers", "2"]].concat(), "saevt.bench/1");
        let lines = shown["measurements"].as_array().unwrap();
        assert_eq!(lines.len(), 2);
        for line in lines {
            assert!(line["events"].as_u64().unwrap() > 0, "{line}");
            assert_eq!(line["lost"], 0);
            let latency = &line["latency_ns"];
            let order = ["median", "p99", "p999", "worst"].map(|part| latency[part].as_u64());
            assert!(order.is_sorted() && order[0] > Some(0), "{latency}");
        }
        let channels = object(bed, &["channels"], "saevt.channels/1");
        assert_eq!(channels["channels"], json!([]));
        let complaint = run(bed, &["bench", "--bytes", "65537"]).complaint(2);
        assert!(complaint.starts_with("--bytes: "), "{complaint}");
    });
}

#[test]
fn the_live_view_is_for_terminals() {
    with_daemon(|bed| {
        let complaint = run(bed, &["top"]).complaint(2);
        assert!(complaint.starts_with("top needs a terminal"), "{complaint}");
    });
}

#[test]
fn the_live_view_begins_and_ends_on_a_terminal() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        println!("skip: there is no script, which makes terminals");
        return;
    }
    with_daemon(|bed| {
        retain(bed, "x");
        let mut command = tool(bed, [] as [&str; 0]);
        let mut terminal = std::process::Command::new("script");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        command = terminal;
        command.env("TERM", "xterm").args(["-qec", &format!("{TOOL} top"), "/dev/null"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let run = run_with(&mut command, b"j\tsrp\x1bq");
        assert_eq!(run.status.code(), Some(0), "{}", run.output);
        assert!(run.output.contains("\x1b[?1049h"), "it takes the screen");
        assert!(run.output.contains("\x1b[?1049l"), "and gives it back");
    });
}
