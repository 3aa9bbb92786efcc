//! `publish`.

use crate::bed::{Bed, Process};
use crate::tool::{CHANNEL, run, run_with, tool, with_daemon};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

/// The data of all that is retained.
fn retained(bed: &Bed) -> String {
    run(bed, &["watch", CHANNEL, "--retained", "--format", "{data}"]).ok()
}

/// Runs `publish`, with this standard input, so that the events stay.
fn publish(bed: &Bed, arguments: &[&str], input: &[u8]) -> String {
    let all = [&["publish", CHANNEL, "--retain", "1h"], arguments].concat();
    run_with(&mut tool(bed, all), input).ok()
}

#[test]
fn data_come_from_arguments_files_and_pipes() {
    with_daemon(|bed| {
        let file = bed.path("data");
        std::fs::write(&file, b"of a file\n").unwrap();
        publish(bed, &["of an argument \\n"], b"");
        publish(bed, &["--file", file.to_str().unwrap()], b"");
        publish(bed, &["-"], b"of a pipe\n");
        publish(bed, &["--lines", "-"], b"line 1\n\n");
        publish(bed, &["--lines"], b"line 3");
        publish(bed, &["-5"], b"");
        publish(bed, &["--lines", "--file", file.to_str().unwrap()], b"");
        publish(bed, &[], b"");
        let expected = "of an argument \\\\n\nof a file\\n\nof a pipe\\n\nline 1\n\nline 3\n\
                        -5\nof a file\n\n";
        assert_eq!(retained(bed), expected);
    });
}

#[test]
fn each_event_has_an_id_of_its_own_which_is_printed() {
    with_daemon(|bed| {
        let ids = publish(bed, &["--repeat", "3", "--rate", "1000", "x"], b"");
        let ids: BTreeSet<u64> = ids.lines().map(|id| id.parse().unwrap()).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(publish(bed, &["-q", "x"], b""), "");
        let shown = run(bed, &["watch", CHANNEL, "--retained", "--format", "{id}"]).ok();
        let shown: BTreeSet<u64> = shown.lines().map(|id| id.parse().unwrap()).collect();
        assert_eq!(shown.len(), 4);
        assert!(ids.is_subset(&shown));
    });
}

#[test]
fn many_more_events_than_the_outbox_holds_are_published() {
    with_daemon(|bed| {
        let big = "x".repeat(50_000);
        let ids = run(bed, &["publish", CHANNEL, "--repeat", "1000", &big]).ok();
        assert_eq!(ids.lines().count(), 1000);
    });
}

#[test]
fn what_is_too_big_is_told_and_leaves_nothing_behind() {
    with_daemon(|bed| {
        let big = vec![b'x'; 65_537];
        let whole = run_with(&mut tool(bed, ["publish", CHANNEL, "-"]), &big);
        let complaint = whole.complaint(1);
        assert!(complaint.starts_with("standard input is too big: "), "{complaint}");
        // Not even the channel was made.
        run(bed, &["watch", CHANNEL, "--no-create", "-n1"]).complaint(4);
        let lines = [b"one\n".as_slice(), &big].concat();
        let lines = run_with(&mut tool(bed, ["publish", CHANNEL, "-q", "--lines", "-"]), &lines);
        let complaint = lines.complaint(1);
        assert!(complaint.starts_with("line 2 of standard input is too big: "), "{complaint}");
    });
}

#[test]
fn what_the_service_does_not_allow_is_told_with_the_option() {
    with_daemon(|bed| {
        let long = "x".repeat(257);
        let many = vec!["--pattern=x"; 17];
        for (arguments, told) in [
            (vec!["--pattern", &long], "--pattern: 257 bytes are too many: at most 256"),
            (many, "--pattern: 17 are too many: at most 16"),
            (vec!["--retain", "365d"], "--retain: it is too long: at most 1d 3h"),
        ] {
            let complaint = run(bed, &[&["publish", CHANNEL], &arguments[..]].concat());
            let complaint = complaint.complaint(2);
            assert!(complaint.starts_with(told), "{complaint}");
        }
        let complaint = run(bed, &["watch", CHANNEL, "--filter", &format!("exact:{long}")]);
        assert!(complaint.complaint(2).starts_with("--filter: 257 bytes are too many"));
        let big = "x".repeat(65_537);
        let complaint = run(bed, &["publish", CHANNEL, &big]).complaint(1);
        assert!(complaint.starts_with("the data is too big: "), "{complaint}");
        // Not even the channel was made.
        run(bed, &["unlink", CHANNEL]).complaint(4);
        let complaint = run(bed, &["publish", "plain"]).complaint(4);
        assert!(complaint.contains("try safChnl=plain"), "{complaint}");
    });
}

#[test]
fn without_end_is_longer_than_any_limit_on_retention() {
    with_daemon(|bed| {
        run(bed, &["publish", CHANNEL, "-q", "--retain", "forever", "kept"]).ok();
        let [event] = &run(bed, &["watch", CHANNEL, "--retained", "--json"]).json()[..] else {
            panic!("one event")
        };
        assert!(event["retention_ns"].is_null(), "{event}");
        let list = run(bed, &["retained", CHANNEL]).ok();
        assert!(list.contains("  forever  "), "{list}");
        // Names are judged as by any other program.
        let complaint = run(bed, &["publish", "plain", "--retain", "forever"]).complaint(4);
        assert!(complaint.contains("try safChnl=plain"), "{complaint}");
    });
}

#[test]
fn nothing_is_published_unsaid_when_nobody_reads_the_identifiers() {
    with_daemon(|bed| {
        let mut command = tool(bed, ["publish", CHANNEL, "--repeat", "1000000", "--rate", "1000"]);
        let mut process = Process::start(&mut command);
        let mut errors = process.child().stderr.take().unwrap();
        let output = process.child().stdout.take().unwrap();
        let first = BufReader::new(output).lines().next();
        assert!(first.unwrap().is_ok());
        assert_eq!(process.wait().code(), Some(1));
        let mut complaint = String::new();
        errors.read_to_string(&mut complaint).unwrap();
        assert!(complaint.contains("nobody reads the identifiers"), "{complaint}");
        assert!(complaint.contains("--quiet"), "{complaint}");
    });
}
