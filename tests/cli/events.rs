//! `watch`, `clear`, `unlink`.

use crate::bed::{Bed, Process, status_field, until};
use crate::tool::{CHANNEL, Running, retain, run, run_with, tool, watched, with_daemon};
use nix::libc::{SYS_poll, SYS_write};
use nix::sys::signal::Signal;
use serde_json::json;
use std::process::Stdio;

/// What the tool says of what is not there.
const GONE: &str = "it does not exist, or the policy of the daemon does not permit it";

/// A watcher that has shown an event, and so has its subscriptions.
fn watcher(bed: &Bed, arguments: &[&str]) -> Running {
    retain(bed, "begin");
    let mut watcher = Running::start(&mut tool(bed, arguments));
    assert!(!watcher.line().is_empty());
    watcher
}

#[test]
fn an_event_is_shown_as_wanted() {
    with_daemon(|bed| {
        let publish = ["publish", CHANNEL, "-p", "one", "-p", "two", "--priority", "1"];
        let more = ["--retain", "90s", "--publisher", "me", "data"];
        let id = run(bed, &[&publish[..], &more].concat()).ok();
        let watch = |more: &[&str]| run(bed, &[&["watch", CHANNEL, "-n1"], more].concat());
        let usual = watch(&[]).ok();
        let (time, rest) = usual.split_once(' ').unwrap();
        assert_eq!(rest, "safChnl=test 1 [one two] data\n");
        assert_eq!(time.len(), "12:34:56.123456".len());

        let format = "{{{id}}} {pattern2},{pattern3} {publisher} {retention} {bytes} {hex}\\t|";
        let expected = format!("{{{}}} two, me 1m 30s 4 64617461\t|\n", id.trim_end());
        assert_eq!(watch(&["--format", format]).ok(), expected);

        let hex = watch(&["--hex"]).ok();
        assert!(hex.contains(" 4 bytes\n  000000  64 61 74 61 "), "{hex}");

        let [event] = &watch(&["--json"]).json()[..] else { panic!("one event") };
        let published = event["published_ns"].as_i64().unwrap();
        let expected = json!({
            "type": "event", "channel": CHANNEL, "id": id.trim_end(), "priority": 1,
            "published": event["published"], "published_ns": published,
            "retention_ns": 90_000_000_000_u64, "publisher": "me", "patterns": ["one", "two"],
            "data": "data",
        });
        assert_eq!(*event, expected);
    });
}

#[test]
fn bytes_of_others_do_not_reach_the_terminal() {
    with_daemon(|bed| {
        let name = "safChnl=\\x1b[2Jx";
        let arguments = ["publish", name, "-p", "\\x1b]0;x\\x07", "--publisher", "a\\nb"];
        let hostile = b"\x1b[31mred\r\xff\\";
        run_with(&mut tool(bed, [&arguments[..], &["--retain", "1h", "-"]].concat()), hostile).ok();
        let shown = run(
            bed,
            &["watch", name, "--retained", "--format"]
                .iter()
                .copied()
                .chain(["{channel} {patterns} {publisher} {data}"])
                .collect::<Vec<_>>(),
        )
        .ok();
        assert_eq!(shown, format!("{name} \\x1b]0;x\\x07 a\\nb \\x1b[31mred\\r\\xff\\\\\n"));
        let [event] = &run(bed, &["watch", name, "--retained", "--json"]).json()[..] else {
            panic!("one event")
        };
        assert_eq!(event["data_hex"], "1b5b33316d7265640dff5c");
        assert_eq!(event["patterns"], json!(["\u{1b}]0;x\u{7}"]));
        // What is refused is escaped too.
        let complaint = run(bed, &["watch", "\x1b[2J\\q"]).complaint(2);
        assert!(complaint.contains("\\x1b[2J"), "{complaint}");
    });
}

#[test]
fn only_what_all_filters_match_is_shown() {
    with_daemon(|bed| {
        for patterns in [["oven", "hot"], ["oven", "cold"], ["fridge", "cold"]] {
            let [first, second] = patterns;
            let arguments = ["publish", CHANNEL, "-p", first, "-p", second, "--retain", "1h"];
            run(bed, &arguments).ok();
        }
        let matching = |filters: &[&str]| {
            let mut arguments = vec!["watch", CHANNEL, "--retained", "--format", "{patterns}"];
            filters.iter().for_each(|filter| arguments.extend(["-f", filter]));
            run(bed, &arguments).ok()
        };
        assert_eq!(matching(&["prefix:ov"]), "oven hot\noven cold\n");
        assert_eq!(matching(&["any", "suffix:old"]), "oven cold\nfridge cold\n");
        assert_eq!(matching(&["exact:oven", "exact:cold"]), "oven cold\n");
        assert_eq!(matching(&["exact:ove"]), "");
    });
}

#[test]
fn watching_ends_when_it_was_told_to() {
    with_daemon(|bed| {
        retain(bed, "one");
        retain(bed, "two");
        let watch = |more: &[&str]| run(bed, &[&["watch", CHANNEL], more].concat());
        assert_eq!(watch(&["-n1"]).ok().lines().count(), 1);
        assert_eq!(watch(&["-n2", "-t", "1h"]).ok().lines().count(), 2);
        let early = watch(&["-n3", "-t", "10ms"]);
        assert_eq!((early.status.code(), early.output.lines().count()), (Some(3), 2));
        assert_eq!(watch(&["-t", "10ms"]).ok().lines().count(), 2);
        let nothing = watch(&["-t", "1ms", "-f", "exact:nothing"]);
        assert_eq!((nothing.status.code(), nothing.output.as_str()), (Some(3), ""));
        assert_eq!(watch(&["--retained"]).ok().lines().count(), 2);
        assert_eq!(watch(&["--retained", "-n1"]).ok().lines().count(), 1);
    });
}

#[test]
fn a_time_ends_also_while_events_come_without_end() {
    with_daemon(|bed| {
        let flood = ["publish", CHANNEL, "-q", "--repeat", "1000000000", "x"];
        let mut publisher = tool(bed, flood);
        publisher.stdout(Stdio::null());
        let publisher = Process::start(&mut publisher);
        let shown = run(bed, &["watch", CHANNEL, "-t", "300ms", "--format", "{data}"]);
        assert_eq!((shown.status.code(), shown.output.is_empty()), (Some(0), false));
        let done = run(bed, &["watch", CHANNEL, "-t", "300ms", "--exec", "echo x"]);
        assert_eq!((done.status.code(), done.output.is_empty()), (Some(0), false));
        drop(publisher);
    });
}

#[test]
fn events_are_shown_one_by_one_as_they_come() {
    with_daemon(|bed| {
        let mut watcher = watcher(bed, &["watch", CHANNEL, "safChnl=other", "--format", "{data}"]);
        for number in ["1", "2", "3"] {
            run(bed, &["publish", "safChnl=other", number]).ok();
            assert_eq!(watcher.line(), number);
        }
        watcher.process.signal(Signal::SIGTERM);
        assert_eq!(watcher.end(), -(Signal::SIGTERM as i32));
    });
}

#[test]
fn a_signal_ends_the_watcher_as_the_shell_expects() {
    with_daemon(|bed| {
        // What this test was started to ignore, in the background of a shell for instance, the
        // watcher ignores too.
        let ignored = status_field(std::process::id(), "SigIgn");
        let ignored = u64::from_str_radix(&ignored, 16).unwrap();
        let all = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
        for signal in all.into_iter().filter(|signal| ignored >> (*signal as i32 - 1) & 1 == 0) {
            let watcher = watcher(bed, &["watch", CHANNEL, "--format", "{data}"]);
            watcher.process.signal(signal);
            assert_eq!(watcher.end(), -(signal as i32));
        }
    });
}

#[test]
fn a_signal_ends_a_watcher_whose_reader_has_stopped() {
    with_daemon(|bed| {
        for number in 0..40 {
            let text = format!("{number} {}", "x".repeat(4000));
            run(bed, &["publish", CHANNEL, "-q", "--retain", "1h", &text]).ok();
        }
        let watcher = Running::start(&mut tool(bed, ["watch", CHANNEL, "--format", "{data}"]));
        // A pipe takes 16 of them, each in a page of its own; then the watcher sleeps.
        let pid = watcher.process.pid();
        let written = || {
            let counters = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
            let line = counters.lines().find_map(|line| line.strip_prefix("wchar: "))?;
            line.parse::<u64>().ok()
        };
        until(|| written().filter(|bytes| *bytes >= 64_000));
        let sleeps = |call| watcher.process.waiting_in(call) > 0;
        until(|| (sleeps(SYS_poll) || sleeps(SYS_write)).then_some(()));
        watcher.process.signal(Signal::SIGTERM);
        assert_eq!(watcher.end(), -(Signal::SIGTERM as i32));
    });
}

#[test]
fn a_watcher_whose_reader_has_gone_ends_also_when_nothing_comes() {
    with_daemon(|bed| {
        let watcher = watcher(bed, &["watch", CHANNEL]);
        assert_eq!(watcher.stop_reading().code(), Some(0));
    });
}

#[test]
fn what_a_slow_watcher_loses_is_shown() {
    watched(|| {
        let bed = Bed::new();
        let limits = "[limits]\nqueue_events_max = 1\nevent_bytes_max = 1000\n[link]\n\
                      inbox_bytes = 32768\n";
        let _daemon = bed.daemon_with(limits);
        for (form, mark) in [("--json", "\"type\":\"lost\""), ("--hex", " LOST ")] {
            let mut watcher = watcher(&bed, &["watch", CHANNEL, form]);
            watcher.process.stop();
            let lines = format!("{}\n", "x".repeat(900)).repeat(200);
            run_with(&mut tool(&bed, ["publish", CHANNEL, "-q", "--lines", "-"]), lines.as_bytes())
                .ok();
            watcher.process.go_on();
            until(|| watcher.line().contains(mark).then_some(()));
            run(&bed, &["clear", CHANNEL, &retained_id(&bed)]).ok();
        }
    });
}

fn retained_id(bed: &Bed) -> String {
    run(bed, &["watch", CHANNEL, "--retained", "--format", "{id}"]).ok().trim_end().to_owned()
}

#[test]
fn a_watcher_goes_on_when_the_daemon_is_replaced() {
    watched(|| {
        let bed = Bed::new();
        let mut daemon = bed.daemon();
        let mut watcher = watcher(&bed, &["watch", CHANNEL, "--format", "{data}"]);
        daemon.signal(Signal::SIGTERM);
        daemon.wait();
        let _daemon = bed.daemon();
        // It may be published before the watcher is back, which is told then.
        run(&bed, &["publish", CHANNEL, "after"]).ok();
        let line = watcher.line();
        assert!(line == "after" || line.contains(" LOST "), "{line}");
        run(&bed, &["publish", CHANNEL, "again"]).ok();
        assert_eq!(watcher.line(), "again");
    });
}

#[test]
fn a_retained_event_is_there_until_it_is_cleared() {
    with_daemon(|bed| {
        let (one, two) = (retain(bed, "one"), retain(bed, "two"));
        let shown = || run(bed, &["watch", CHANNEL, "--retained", "--format", "{data}"]).ok();
        assert_eq!(shown(), "one\ntwo\n");
        run(bed, &["clear", CHANNEL, &one]).ok();
        assert_eq!(shown(), "two\n");
        // The others are cleared also if one fails.
        let complaint = run(bed, &["clear", CHANNEL, &one, &two]).complaint(4);
        assert_eq!(complaint, format!("cannot clear the event {one}: {GONE}"));
        assert_eq!(shown(), "");
    });
}

#[test]
fn an_unlinked_channel_is_not_found_any_more() {
    with_daemon(|bed| {
        let mut watcher = watcher(bed, &["watch", CHANNEL, "--format", "{data}"]);
        run(bed, &["unlink", CHANNEL]).ok();
        assert!(bed.log().contains("has unlinked channel"), "{}", bed.log());
        let complaint = run(bed, &["unlink", CHANNEL]).complaint(4);
        assert_eq!(complaint, format!("cannot unlink {CHANNEL}: {GONE}"));
        run(bed, &["publish", CHANNEL, "--no-create"]).complaint(4);
        // It is another channel now, of which the watcher hears nothing.
        run(bed, &["publish", CHANNEL, "new"]).ok();
        watcher.process.signal(Signal::SIGTERM);
        assert_eq!(watcher.line(), "");
    });
}
